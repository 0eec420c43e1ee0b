import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../../src/config/load.js'
import { startCastor } from '../../../src/control/assemble.js'
import type { RunningCastor } from '../../../src/control/running.js'
import { RawTarget, type Script } from './raw-target.js'
import { eventually } from './waiting.js'

/** What the fixtures need of a tap test. */
export interface Test {
  teardown(handler: () => unknown): unknown
}

export interface CastorOptions {
  readonly workers?: number
  /** Keys of the listener, of the target group and of `protection`, as in the file. */
  readonly listener?: object
  readonly group?: object
  readonly protection?: object
  /** Further keys of the top level. */
  readonly more?: object
  readonly shutdownTimeout?: string
  /** Write the access log to a temporary file; off otherwise. */
  readonly accessLog?: boolean
}

/** A line of the access log. */
export type AccessRecord = Readonly<Record<string, string | number | null>>

/** Most tests break targets on purpose, and look at what comes of it, not at how soon that is found out. */
export const UNWATCHED = { healthCheck: { protocol: 'off' }, outlierDetection: 'off' } as const

/** The configuration of one http listener before one group, as the text of a file. */
export function configText(
  targets: readonly (string | { readonly address: string; readonly weight: number })[],
  options: CastorOptions = {},
  access = 'off',
): string {
  return JSON.stringify({
    node: 'test',
    workers: options.workers ?? 1,
    log: { level: 'info', access },
    admin: { listen: '127.0.0.1:0' },
    shutdownTimeout: options.shutdownTimeout ?? '2s',
    listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app', ...options.listener }],
    targetGroups: [
      {
        name: 'app',
        protocol: 'http',
        targets: targets.map((target) => (typeof target === 'string' ? { address: target } : target)),
        ...UNWATCHED,
        ...options.group,
      },
    ],
    ...(options.protection === undefined ? {} : { protection: options.protection }),
    ...options.more,
  })
}

/** A balancer within this process, between the test and its targets. */
export class TestCastor {
  readonly running: RunningCastor
  /** Lines of its own log. */
  readonly log: string[]
  readonly #accessFile: string

  constructor(running: RunningCastor, log: string[], accessFile: string) {
    this.running = running
    this.log = log
    this.#accessFile = accessFile
  }

  get port(): number {
    return this.running.listeners[0]!.port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The access log, once it has `count` records. */
  async accessRecords(count: number): Promise<AccessRecord[]> {
    let lines: string[] = []
    await eventually(`${count} access log records`, () => {
      lines = readFileSync(this.#accessFile, 'utf8').split('\n').slice(0, -1)
      return lines.length >= count
    })
    return lines.map((line) => JSON.parse(line) as AccessRecord)
  }

  /** The samples of `/metrics` by name with labels. */
  async metrics(): Promise<Map<string, number>> {
    const text = await fetchText(this.running.admin.port, '/metrics')
    const samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line): [string, number] => {
        const space = line.lastIndexOf(' ')
        return [line.slice(0, space), Number(line.slice(space + 1))]
      })
    return new Map(samples)
  }
}

export function fetchText(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = ''
      response.on('data', (data) => {
        text += String(data)
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

/**
 * Starts a balancer that the test's end stops. A fault that it logs meanwhile, which would only have cost a connection,
 * fails the test.
 */
export async function startTestCastor(
  t: Test,
  targets: readonly (string | { readonly address: string; readonly weight: number })[],
  options: CastorOptions = {},
): Promise<TestCastor> {
  const folder = options.accessLog === true ? await mkdtemp(join(tmpdir(), 'castor-test-')) : ''
  const accessFile = join(folder, 'access.log')
  const config = parseConfig(configText(targets, options, options.accessLog === true ? accessFile : 'off'), 'test.yaml')
  const log: string[] = []
  const destination = { write: (line: string) => log.push(line), flushSync() {}, close: async () => true }
  const running = await startCastor(config, { logDestination: destination })
  t.teardown(async () => {
    const faults = log.filter((line) => line.includes('"level":"error"'))
    await running.stopNow()
    if (folder !== '') await rm(folder, { recursive: true, force: true })
    if (faults.length > 0) throw new Error(`the balancer logged faults:\n${faults.join('')}`)
  })
  return new TestCastor(running, log, accessFile)
}

/** The usual setting: one scripted target, and a balancer before it. */
export async function castorBefore(
  t: Test,
  script: Script = {},
  options: CastorOptions = {},
): Promise<{ castor: TestCastor; target: RawTarget; port: number }> {
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], options)
  return { castor, target, port: castor.port }
}
