import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FaultOrder } from '../../fixtures/faulty-proxy.js'
import type { ConfigFile } from './balancer.js'
import type { Test } from './castor.js'
import { type ChildCastor, startChild } from './child-castor.js'
import { RawTarget } from './raw-target.js'
import { echo, TcpTarget } from './tcp-peers.js'
import { until } from './until.js'

const PROGRAM = fileURLToPath(new URL('../../fixtures/faulty-castor.js', import.meta.url))
export const WORKERS = 2
export const VICTIM = 2

export interface StuckSetting {
  readonly castor: ChildCastor
  readonly web: RawTarget
  readonly raw: TcpTarget
  order(order: FaultOrder | 'primary'): void
}

export async function startWithFaults(
  t: Test,
  more: ConfigFile = {},
  env: NodeJS.ProcessEnv = {},
): Promise<StuckSetting> {
  const web = await RawTarget.start()
  t.teardown(() => web.stop())
  const raw = await TcpTarget.start(t, echo)
  const config = {
    workers: WORKERS,
    watchdog: '1s',
    listeners: [
      { name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'web' },
      { name: 'raw', protocol: 'tcp', listen: '127.0.0.1:0', targetGroup: 'raw' },
    ],
    targetGroups: [
      { name: 'web', protocol: 'http', targets: [{ address: web.address }] },
      { name: 'raw', protocol: 'tcp', targets: [{ address: raw.address }] },
    ],
    ...more,
  }
  const castor = await startChild(t, config, { program: [PROGRAM], env })
  const order = (order: FaultOrder | 'primary'): void => {
    castor.child.stdin!.write(`${order === 'primary' ? order : JSON.stringify(order)}\n`)
  }
  return { castor, web, raw, order }
}

export async function fifo(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'nobody-writes')
  execFileSync('mkfifo', [path])
  return path
}

/** The worker has stopped to turn; nothing is heard of it but what it does not do. */
export async function stoodStill(castor: ChildCastor): Promise<void> {
  await until('the worker being given up', () => castor.stderr.includes('a thread is stuck'), 10_000)
}
