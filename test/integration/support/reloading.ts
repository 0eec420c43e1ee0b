import { renameSync, writeFileSync } from 'node:fs'
import { type ConfigFile, withDefaults } from './balancer.js'
import type { Test } from './castor.js'
import { ChildCastor, type ChildOptions, configFile, MAIN } from './child-castor.js'
import { type Answer, ask, type ShownTarget } from './operator.js'
import { RawTarget } from './raw-target.js'

/** A balancer in a process of its own, ready, and the file that it is reloaded from. */
export interface Reloading {
  readonly castor: ChildCastor
  readonly file: string
  /** Puts another configuration in the place of the file, as editors do. */
  write(config: ConfigFile): void
  /** By the API; after `write`, where a configuration is given. */
  reload(config?: ConfigFile): Promise<Answer>
  targets(): Promise<ShownTarget[]>
}

export async function startReloading(t: Test, config: ConfigFile, options: ChildOptions = {}): Promise<Reloading> {
  const file = await configFile(t, config)
  const castor = new ChildCastor([MAIN, 'start', '-c', file], options)
  t.teardown(() => castor.kill())
  await castor.ready()
  const write = (next: ConfigFile): void => {
    writeFileSync(`${file}.new`, JSON.stringify(withDefaults(next)))
    renameSync(`${file}.new`, file)
  }
  return {
    castor,
    file,
    write,
    reload(next) {
      if (next !== undefined) write(next)
      return ask(castor.adminPort, 'POST', '/api/v1/reload')
    },
    async targets() {
      const { json } = await ask(castor.adminPort, 'GET', '/api/v1/status')
      return (json as { targetGroups: { targets: ShownTarget[] }[] }).targetGroups.flatMap(({ targets }) => targets)
    },
  }
}

/** Ends with the test. */
export async function startTarget(t: Test): Promise<RawTarget> {
  const started = await RawTarget.start()
  t.teardown(() => started.stop())
  return started
}
