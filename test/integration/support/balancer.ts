import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../../src/config/load.js'
import { startCastor } from '../../../src/control/assemble.js'
import type { RunningCastor } from '../../../src/control/running.js'
import type { TicketKeyStore } from '../../../src/core/ticket-keys.js'
import { type AccessRecord, type Test, UNWATCHED } from './castor.js'
import { Metrics } from './metrics.js'
import { until } from './until.js'

/** A configuration file as an object; `node`, `admin`, `log` and `shutdownTimeout` are filled in where left out. */
export type ConfigFile = Readonly<Record<string, unknown>>

export interface BalancerOptions {
  /** Stands in for the product's proxy thread. */
  readonly workerFile?: string
  /** Write the access log, to a temporary file. */
  readonly accessLog?: boolean
  /** Stands in for the product's own, which change every eight hours. */
  readonly ticketKeys?: TicketKeyStore
}

/** What every test configuration has unless it says otherwise. */
export function withDefaults(config: ConfigFile, access = 'off'): ConfigFile {
  const groups = config.targetGroups as readonly object[] | undefined
  return {
    node: 'test',
    admin: { listen: '127.0.0.1:0' },
    log: { level: 'info', access },
    shutdownTimeout: '2s',
    ...config,
    ...(groups === undefined ? {} : { targetGroups: groups.map((group) => ({ ...UNWATCHED, ...group })) }),
  }
}

/** A listener and its group of the same protocol, as most tests need them. */
export function onePair(
  protocol: 'tcp' | 'http',
  targets: readonly (string | object)[],
  more: { readonly workers?: number; readonly listener?: object; readonly group?: object } = {},
): ConfigFile {
  return {
    workers: more.workers ?? 1,
    listeners: [{ name: 'in', protocol, listen: '127.0.0.1:0', targetGroup: 'out', ...more.listener }],
    targetGroups: [
      {
        name: 'out',
        protocol,
        targets: targets.map((target) => (typeof target === 'string' ? { address: target } : target)),
        ...more.group,
      },
    ],
  }
}

/** A balancer in this process, from any configuration. */
export class Balancer {
  readonly running: RunningCastor
  /** Lines of its own log. */
  readonly log: readonly string[]
  readonly #accessFile: string

  constructor(running: RunningCastor, log: readonly string[], accessFile: string) {
    this.running = running
    this.log = log
    this.#accessFile = accessFile
  }

  get port(): number {
    return this.running.listeners[0]!.port
  }

  portOf(listener: string): number {
    return this.running.listeners.find(({ name }) => name === listener)!.port
  }

  metrics(): Promise<Metrics> {
    return Metrics.read(this.running.admin.port)
  }

  /** The access log, once it has `count` records. */
  accessRecords(count: number): Promise<AccessRecord[]> {
    return until(`${count} access log records`, () => {
      const lines = readFileSync(this.#accessFile, 'utf8').split('\n').slice(0, -1)
      return lines.length >= count && lines.map((line) => JSON.parse(line) as AccessRecord)
    })
  }
}

/** Starts a balancer, which the test's end stops. */
export async function startBalancer(t: Test, config: ConfigFile, options: BalancerOptions = {}): Promise<Balancer> {
  const folder = options.accessLog === true ? await mkdtemp(join(tmpdir(), 'castor-test-')) : ''
  const accessFile = join(folder, 'access.log')
  const text = JSON.stringify(withDefaults(config, options.accessLog === true ? accessFile : 'off'))
  const log: string[] = []
  const running = await startCastor(parseConfig(text, 'test.yaml'), {
    logDestination: { write: (line: string) => log.push(line), flushSync() {}, close: async () => true },
    ...(options.workerFile === undefined ? {} : { workerFile: options.workerFile }),
    ...(options.ticketKeys === undefined ? {} : { ticketKeys: options.ticketKeys }),
  })
  t.teardown(async () => {
    await running.stopNow()
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  })
  return new Balancer(running, log, accessFile)
}
