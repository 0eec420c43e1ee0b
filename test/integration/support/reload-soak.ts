import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { Agent, createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { WebSocket, WebSocketServer } from 'ws'
import { withDefaults } from './balancer.js'
import type { Test } from './castor.js'
import { ChildCastor, configFile, MAIN } from './child-castor.js'
import { startWrk } from './wrk.js'

export interface ReloadSoakOptions {
  readonly reloads: number
  /** Of the download that goes on meanwhile. */
  readonly downloadBytes: number
  /** Whether wrk asks as fast as it can meanwhile, where it is installed. */
  readonly wrk?: boolean
  readonly onProgress?: (done: number) => void
}

export interface ReloadSoakResult {
  readonly requests: number
  readonly failed: readonly string[]
  readonly echoes: number
  readonly downloadedBytes: number
  /** Milliseconds that each reload took, as the API's client sees it. */
  readonly reloadMs: readonly number[]
  /** Resident memory after the first tenth of the reloads, and at the end. */
  readonly warmBytes: number
  readonly endBytes: number
  readonly warnings: readonly string[]
}

/** A target that answers with its name, echoes on a WebSocket, and has one large answer that it sends as it is taken. */
class SoakTarget {
  readonly server: Server
  readonly #name: string

  private constructor(name: string, downloadBytes: number) {
    this.#name = name
    this.server = createServer((request, response) => {
      if (request.url === '/download') {
        const block = Buffer.alloc(256 * 1024, 'x')
        response.setHeader('Content-Length', downloadBytes)
        let left = downloadBytes
        const write = (): void => {
          while (left > 0) {
            const part = block.subarray(0, Math.min(left, block.length))
            left -= part.length
            if (!response.write(part)) {
              response.once('drain', write)
              return
            }
          }
          response.end()
        }
        write()
        return
      }
      response.end(this.#name)
    })
    const sockets = new WebSocketServer({ server: this.server })
    sockets.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('message', (data) => socket.send(data))
    })
  }

  static async start(t: Test, name: string, downloadBytes: number): Promise<string> {
    const target = new SoakTarget(name, downloadBytes)
    target.server.keepAliveTimeout = 60_000
    target.server.listen(0, '127.0.0.1')
    await once(target.server, 'listening')
    t.teardown(() => {
      target.server.closeAllConnections()
      target.server.close()
    })
    return `127.0.0.1:${(target.server.address() as AddressInfo).port}`
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Clients of every kind; whatever one of them finds wrong is in `failed`. */
class SoakTraffic {
  requests = 0
  echoes = 0
  downloadedBytes = 0
  readonly failed: string[] = []
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })
  #stopping = false
  readonly #running: Promise<unknown>

  constructor(port: number, downloadBytes: number) {
    this.#port = port
    this.#running = Promise.all([
      this.#ask('kept', this.#agent),
      this.#ask('kept', this.#agent),
      this.#ask('new', false),
      this.#echo(),
      this.#download(downloadBytes),
    ])
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
    this.#agent.destroy()
  }

  async #ask(kind: string, agent: Agent | false): Promise<void> {
    while (!this.#stopping) {
      this.requests++
      try {
        const sent = httpRequest({ host: '127.0.0.1', port: this.#port, path: '/', agent })
        sent.end()
        const [response] = await once(sent, 'response')
        await textOf(response)
        if (response.statusCode !== 200) this.failed.push(`${kind}: ${response.statusCode}`)
      } catch (error) {
        this.failed.push(`${kind}: ${String(error)}`)
      }
      await wait(3)
    }
  }

  async #echo(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.#port}/`)
    const end = once(socket, 'close')
    socket.on('error', (error) => this.failed.push(`echo: ${error.message}`))
    await once(socket, 'open')
    while (!this.#stopping && socket.readyState === WebSocket.OPEN) {
      socket.send(String(this.echoes))
      const [data] = await Promise.race([once(socket, 'message'), end.then(() => ['closed'])])
      if (String(data) !== String(this.echoes)) this.failed.push(`echo: ${String(data)} after ${this.echoes}`)
      this.echoes++
      await wait(5)
    }
    socket.terminate()
    await end
  }

  /** At a pace that makes it last as long as the rest. */
  async #download(bytes: number): Promise<void> {
    const sent = httpRequest({ host: '127.0.0.1', port: this.#port, path: '/download', agent: false })
    sent.end()
    const [response] = await once(sent, 'response')
    try {
      for await (const part of response) {
        this.downloadedBytes += (part as Buffer).length
        if (!this.#stopping) await wait(1)
      }
      if (this.downloadedBytes !== bytes) this.failed.push(`download: ${this.downloadedBytes} of ${bytes} bytes`)
    } catch (error) {
      this.failed.push(`download: ${String(error)} after ${this.downloadedBytes} bytes`)
    }
  }
}

/** The configuration at each step: listeners, groups and targets come, change and go; `in` and the target `a` stay. */
function configAt(step: number, addresses: readonly string[]) {
  const [a, b, c] = addresses
  const some = step % 2 === 0 ? [{ address: b, weight: 1 + (step % 7) }] : [{ address: c }]
  const algorithms = ['round-robin', 'least-connections', 'random-two', 'peak-ewma', 'maglev', 'source-ip']
  const extra = step % 3 === 0 ? [] : [{ address: b, id: `more-${step % 5}` }]
  const targets = [{ address: a }, ...some]
  const limits = step % 4 === 0 ? { maxConnectionsPerTarget: 50 + step, queue: { size: 100, timeout: '5s' } } : {}
  const main = {
    name: 'main',
    protocol: 'http',
    algorithm: algorithms[step % algorithms.length],
    draining: '300s',
    healthCheck: step % 5 === 0 ? { protocol: 'tcp', interval: '1s' } : { protocol: 'off' },
    timeouts: { response: `${30 + (step % 10)}s` },
    targets,
    ...limits,
  }
  const other = { name: `other-${step % 11}`, protocol: 'http', healthCheck: { protocol: 'off' }, targets: extra }
  const listeners = [
    { name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'main', idleTimeout: `${60 + (step % 5)}s` },
    { name: `side-${step % 3}`, protocol: 'http', listen: '127.0.0.1:0', targetGroup: other.name },
  ]
  return { listeners, targetGroups: [main, other] }
}

/** Reloads a balancer again and again, each time with another configuration, under traffic of every kind. */
export async function soakReloads(t: Pick<Test, 'teardown'>, options: ReloadSoakOptions): Promise<ReloadSoakResult> {
  const { reloads, downloadBytes, onProgress = () => {} } = options
  const addresses = await Promise.all(['a', 'b', 'c'].map((name) => SoakTarget.start(t, name, downloadBytes)))
  const file = await configFile(t, configAt(0, addresses))
  const castor = new ChildCastor([MAIN, 'start', '-c', file])
  t.teardown(() => castor.kill())
  await castor.ready()
  const traffic = new SoakTraffic(castor.port(), downloadBytes)
  const wrk = options.wrk === true ? await startWrk(castor.port()) : undefined
  const reloadMs: number[] = []
  let warmBytes = 0
  for (let step = 1; step <= reloads; step++) {
    await writeFile(`${file}.new`, JSON.stringify(withDefaults(configAt(step, addresses))))
    await rename(`${file}.new`, file)
    const beganMs = performance.now()
    const { code, text } = await reload(castor)
    reloadMs.push(performance.now() - beganMs)
    if (code !== 200) traffic.failed.push(`reload ${step}: ${code} ${text}`)
    if (step === Math.ceil(reloads / 10)) warmBytes = castor.residentBytes
    onProgress(step)
  }
  const endBytes = castor.residentBytes
  const { requests: fast, failed: fastFailed } = (await wrk?.stop()) ?? { requests: 0, failed: [] }
  await traffic.stop()
  traffic.requests += fast
  traffic.failed.push(...fastFailed)
  const { requests, failed, echoes, downloadedBytes } = traffic
  const warnings = castor.stderr.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line))
  return { requests, failed, echoes, downloadedBytes, reloadMs, warmBytes, endBytes, warnings }
}

async function reload(castor: ChildCastor): Promise<{ code: number; text: string }> {
  const headers = { 'content-type': 'application/json' }
  const path = '/api/v1/reload'
  const sent = httpRequest({ host: '127.0.0.1', port: castor.adminPort, method: 'POST', path, headers, agent: false })
  sent.end('{}')
  const [response] = await once(sent, 'response')
  return { code: response.statusCode, text: await textOf(response) }
}
