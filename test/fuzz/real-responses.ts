import { once } from 'node:events'
import { Agent, request as nodeRequest } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Agent as UndiciAgent, request as undiciRequest } from 'undici'
import { parseConfig } from '../../src/config/load.js'
import { startCastor } from '../../src/control/assemble.js'
import type { RunningCastor } from '../../src/control/running.js'
import { METHOD_GET, METHOD_HEAD } from '../../src/http/methods.js'
import { type ResponseReading, readResponseAsCastor } from './castor-reading.js'
import { configBefore, SILENT_LOG } from './real-requests.js'

/** What a client made of an answer; `failed` when it was told, or decided, that it is not whole. */
interface Understood {
  readonly status: number
  readonly body: string
  readonly failed: boolean
}

type Client = (url: string, method: 'GET' | 'HEAD') => Promise<Understood>

const TIMEOUT_MS = 4_000

function nodeClient(agent: Agent, lenient: boolean): Client {
  return (url, method) =>
    new Promise((resolve) => {
      let status = 0
      let body = ''
      const done = (failed: boolean): void => resolve({ status, body, failed })
      const options = { agent, method, insecureHTTPParser: lenient, timeout: TIMEOUT_MS }
      const request = nodeRequest(url, options, (response) => {
        status = response.statusCode ?? 0
        response.setEncoding('latin1')
        response.on('data', (data: string) => {
          body += data
        })
        response.on('end', () => done(!response.complete))
        response.on('error', () => done(true))
        response.on('close', () => done(!response.complete))
      })
      request.on('timeout', () => request.destroy(new Error('late')))
      request.on('error', () => done(true))
      request.end()
    })
}

function undiciClient(dispatcher: UndiciAgent): Client {
  return async (url, method) => {
    let status = 0
    let body = ''
    try {
      const response = await undiciRequest(url, { dispatcher, method })
      status = response.statusCode
      for await (const data of response.body) body += (data as Buffer).toString('latin1')
      return { status, body, failed: false }
    } catch {
      return { status, body, failed: true }
    }
  }
}

/** A running Castor between Node's clients and a target that answers with any bytes. */
export class RealResponses {
  readonly #castor: RunningCastor
  readonly #server: Server
  readonly #answers: Map<string, Buffer>
  readonly #agents: readonly { destroy(): unknown }[]
  readonly #clients: ReadonlyMap<string, Client>
  #count = 0

  private constructor(castor: RunningCastor, server: Server, answers: Map<string, Buffer>) {
    this.#castor = castor
    this.#server = server
    this.#answers = answers
    const agents = [
      new Agent({ keepAlive: true, maxSockets: 16 }),
      new Agent({ keepAlive: true, maxSockets: 16 }),
    ] as const
    const undici = new UndiciAgent({ connections: 16, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    this.#agents = [...agents, undici]
    this.#clients = new Map([
      ['node:http', nodeClient(agents[0], false)],
      ['node:http, lenient', nodeClient(agents[1], true)],
      ['undici', undiciClient(undici)],
    ])
  }

  static async start(): Promise<RealResponses> {
    const answers = new Map<string, Buffer>()
    const server = createServer({ noDelay: true }, (socket: Socket) => {
      let head = ''
      socket.on('error', () => {})
      socket.on('data', (data) => {
        head += data.toString('latin1')
        if (!head.includes('\r\n\r\n')) return
        const target = head.split(' ')[1]!
        head = ''
        // The end behind it leaves no connection of which nobody knows whether it has been poisoned.
        socket.end(answers.get(target) ?? '')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const config = parseConfig(configBefore([(server.address() as AddressInfo).port]), 'fuzz.yaml')
    return new RealResponses(await startCastor(config, { logDestination: SILENT_LOG }), server, answers)
  }

  /** What is wrong with the way these bytes reach each client; empty if nothing is. */
  async check(bytes: Buffer, method: 'GET' | 'HEAD'): Promise<string[]> {
    const reading = readResponseAsCastor(bytes, method === 'HEAD' ? METHOD_HEAD : METHOD_GET, true)
    const target = `/${this.#count++}`
    this.#answers.set(target, bytes)
    const faults: string[] = []
    await Promise.all(
      [...this.#clients].map(async ([name, client]) => {
        // Undici misses the body of a 304 that tells its length, which has none (RFC 9110 15.4.5), and takes a 100 that it
        // did not ask for to be an error, which RFC 9110 15.2 tells a client to pass over.
        if (name === 'undici' && (reading.status === 304 || reading.interims.includes(100))) return
        const fault = judge(
          reading,
          await client(`http://127.0.0.1:${this.#castor.listeners[0]!.port}${target}`, method),
        )
        if (fault !== '') faults.push(`${name}: ${fault}`)
      }),
    )
    this.#answers.delete(target)
    return faults
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) await agent.destroy()
    await this.#castor.stopNow()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function judge(reading: ResponseReading, { status, body, failed }: Understood): string {
  switch (reading.end) {
    case 'whole':
      if (failed || status !== reading.status) return `${failed ? 'failed, ' : ''}${status}, not ${reading.status}`
      return body === reading.body ? '' : `body ${JSON.stringify(body)}, not ${JSON.stringify(reading.body)}`
    case 'nonsense':
    case 'switched':
      return !failed && status === 502 ? '' : `${failed ? 'failed, ' : ''}${status}, not 502`
    default:
      return failed ? '' : `${status} looks whole`
  }
}
