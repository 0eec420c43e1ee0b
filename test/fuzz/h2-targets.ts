import { once } from 'node:events'
import { Agent, get as httpGet, request as httpRequest } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { parseConfig } from '../../src/config/load.js'
import { startCastor } from '../../src/control/assemble.js'
import type { RunningCastor } from '../../src/control/running.js'
import { HostileH2Target } from './hostile-h2-target.js'
import type { Finding, FuzzSubject } from './subject.js'

const REQUESTS_A_ROUND = 24
/** Longer than any time-out of the configuration below lets a request last. */
const STUCK_MS = 10_000
const COUNTED_MS = 5_000
const MOST_GROWN_BYTES = 400 * 1024 * 1024

const configText = (address: string): string =>
  JSON.stringify({
    workers: 1,
    log: { level: 'info', access: 'off' },
    admin: { listen: '127.0.0.1:0' },
    shutdownTimeout: '1s',
    listeners: [
      { name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app', http2: true, idleTimeout: '3s' },
    ],
    targetGroups: [
      {
        name: 'app',
        protocol: 'h2c',
        targets: [{ address }],
        healthCheck: { protocol: 'off' },
        outlierDetection: 'off',
        timeouts: { connect: '400ms', response: '400ms' },
      },
    ],
  })

/** Castor as the client of targets of HTTP/2 that answer with anything at any time, with requests of both versions under way. */
class HostileTargets implements FuzzSubject {
  readonly name = 'h2-targets'
  readonly #random: () => number
  readonly #target: HostileH2Target
  readonly #castor: RunningCastor
  readonly #log: string[]
  readonly #agent = new Agent({ keepAlive: false })
  readonly #residentAtFirst = process.memoryUsage.rss()
  #session: ClientHttp2Session | undefined
  #asked = 0
  readonly #outcomes = new Map<string, number>()

  constructor(random: () => number, target: HostileH2Target, castor: RunningCastor, log: string[]) {
    this.#random = random
    this.#target = target
    this.#castor = castor
    this.#log = log
  }

  async round(report: (finding: Finding) => void): Promise<number> {
    this.#target.said.length = 0
    this.#log.length = 0
    const outcomes = await Promise.all(Array.from({ length: REQUESTS_A_ROUND }, () => this.#ask()))
    // One that is idle might be closed by Castor just when it is used again.
    this.#session?.close()
    this.#session = undefined
    this.#asked += outcomes.length
    const faults: string[] = []
    for (const outcome of outcomes) {
      this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
      if (outcome === 'stuck' || outcome.startsWith('two')) faults.push(`a request: ${outcome}`)
    }
    faults.push(...this.#log.filter((line) => line.includes('"level":"error"') || line.includes('"level":"fatal"')))
    const counted = await this.#counted()
    if (counted !== this.#asked) faults.push(`${this.#asked} requests had ${counted} outcomes`)
    const grown = process.memoryUsage.rss() - this.#residentAtFirst
    if (grown > MOST_GROWN_BYTES) faults.push(`${grown} bytes more memory`)
    if (faults.length > 0) {
      report({ kind: 'targets', input: Buffer.concat(this.#target.said), detail: '', faults })
      this.#asked = counted
    }
    return outcomes.length
  }

  remarks(): string {
    return [...this.#outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    this.#session?.destroy()
    await this.#castor.stopNow()
    await this.#target.stop()
  }

  /** What became of a request, by whichever version; `stuck` where nothing did. */
  #ask(): Promise<string> {
    const body = this.#random() < 0.4 ? Buffer.alloc(Math.floor(this.#random() * 40_000), 'b') : undefined
    return new Promise((resolve) => {
      let over = ''
      const timer = setTimeout(() => end('stuck'), STUCK_MS)
      const end = (outcome: string): void => {
        if (over !== '') return
        over = outcome
        clearTimeout(timer)
        resolve(outcome)
      }
      if (this.#random() < 0.5) this.#askByHttp1(body, end)
      else this.#askByHttp2(body, end)
    })
  }

  #askByHttp1(body: Buffer | undefined, end: (outcome: string) => void): void {
    const method = body === undefined ? 'GET' : 'POST'
    const request = httpRequest({ port: this.#port, host: '127.0.0.1', method, agent: this.#agent, path: '/one' })
    request.on('response', (response) => {
      response.resume()
      response.on('error', () => end('cut'))
      response.on('close', () => end(response.complete ? String(response.statusCode) : 'cut'))
    })
    request.on('error', () => end('cut'))
    request.end(body)
  }

  #askByHttp2(body: Buffer | undefined, end: (outcome: string) => void): void {
    if (this.#session === undefined) {
      this.#session = connectHttp2(`http://127.0.0.1:${this.#port}`)
      this.#session.on('error', () => {})
    }
    const method = body === undefined ? 'GET' : 'POST'
    const stream = this.#session.request({ ':path': '/two', ':method': method }, { endStream: body === undefined })
    let status = 0
    let heads = 0
    stream.on('response', (headers) => {
      heads++
      status = Number(headers[':status'])
    })
    stream.on('error', () => {})
    stream.on('close', () => end(heads > 1 ? 'two heads' : stream.rstCode === 0 ? String(status) : 'cut'))
    stream.resume()
    if (body !== undefined) stream.end(body)
  }

  /** Requests that Castor has accounted for, once they are as many as were made or time is up. */
  async #counted(): Promise<number> {
    const untilMs = performance.now() + COUNTED_MS
    for (;;) {
      const text = await fetchText(this.#castor.admin.port, '/metrics')
      let sum = 0
      for (const [, count] of text.matchAll(/^castor_requests_total\{[^}]*\} (\d+)$/gm)) sum += Number(count)
      if (sum === this.#asked || performance.now() > untilMs) return sum
    }
  }

  get #port(): number {
    return this.#castor.listeners[0]!.port
  }
}

function fetchText(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    httpGet({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => resolve(Buffer.concat(parts).toString()))
    }).on('error', reject)
  })
}

export async function startHostileTargets(random: () => number): Promise<FuzzSubject> {
  const target = new HostileH2Target(random)
  target.server.listen(0, '127.0.0.1')
  await once(target.server, 'listening')
  const address = `127.0.0.1:${(target.server.address() as AddressInfo).port}`
  const log: string[] = []
  const logDestination = { write: (line: string) => log.push(line), flushSync() {}, close: async () => true }
  const castor = await startCastor(parseConfig(configText(address), 'fuzz.yaml'), { logDestination })
  return new HostileTargets(random, target, castor, log)
}
