import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text as textOf } from 'node:stream/consumers'
import { WebSocket } from 'ws'
import { MAIN } from './child-castor.js'
import { until } from './until.js'

interface Test {
  teardown(end: () => unknown): unknown
}

export interface UpgradeResult {
  readonly code: number
  /** As `castor upgrade --json` printed them. */
  readonly steps: readonly { readonly step: string; readonly pid?: number; readonly [key: string]: unknown }[]
  readonly stderr: string
  /** Of the process that serves now, where it is a new one. */
  readonly pid: number
}

/** A path for an admin socket, short enough to be one. */
export function adminSocket(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-up-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'admin.sock')
}

/** Runs `castor upgrade`. A process that serves afterwards ends with the test. */
export async function upgrade(t: Test, admin: string, args: readonly string[] = []): Promise<UpgradeResult> {
  const child = spawn(process.execPath, [MAIN, 'upgrade', '--admin', admin, '--json', ...args])
  const steps: UpgradeResult['steps'][number][] = []
  createInterface(child.stdout).on('line', (line) => {
    const step = JSON.parse(line) as UpgradeResult['steps'][number]
    steps.push(step)
    if (step.step === 'starting') t.teardown(() => endNow(step.pid!))
  })
  const stderr = textOf(child.stderr)
  const [code] = (await once(child, 'close')) as [number]
  const done = steps.find(({ step }) => step === 'done')
  return { code, steps, stderr: await stderr, pid: done?.pid ?? 0 }
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`)

/** Resolves when the process has ended; it is none of this one's children. */
export async function endOf(pid: number, timeoutMs = 30_000): Promise<void> {
  await until(`the end of process ${pid}`, () => !isAlive(pid), timeoutMs)
}

export async function endNow(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
  await endOf(pid)
}

/** One request to the admin API over its Unix socket. */
export async function askUnix(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ code: number; json: unknown }> {
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers =
    method === 'GET' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }
  const sent = httpRequest({ socketPath, path, method, headers, agent: false })
  sent.end(content)
  const [response] = await once(sent, 'response')
  const text = await textOf(response)
  return { code: response.statusCode, json: /^\{.*\}\n?$/.test(text) ? JSON.parse(text) : text }
}

/** Asks for an upgrade without the command, and returns the steps. */
export async function askForUpgrade(t: Test, socketPath: string, program: string): Promise<UpgradeResult['steps']> {
  const { json } = await askUnix(socketPath, 'POST', '/api/v1/upgrade', { program })
  const lines = String(json).trim().split('\n')
  const steps = lines.map((line) => JSON.parse(line) as UpgradeResult['steps'][number])
  for (const { step, pid } of steps) if (step === 'starting' && pid) t.teardown(() => endNow(pid))
  return steps
}

/** Clients that ask on connections they keep, clients that connect anew each time, and one on a WebSocket. */
export class UpgradeTraffic {
  readonly failed: string[] = []
  kept = 0
  fresh = 0
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })
  readonly #running: Promise<unknown>
  #stopping = false

  constructor(t: Test, port: number) {
    this.#port = port
    this.#running = Promise.all([
      ...[1, 2].map(() => this.#run(this.#agent, () => this.kept++)),
      this.#run(false, () => this.fresh++),
    ])
    t.teardown(() => this.stop())
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
    this.#agent.destroy()
  }

  async #run(agent: Agent | false, count: () => void): Promise<void> {
    while (!this.#stopping) {
      try {
        const sent = httpRequest({ host: '127.0.0.1', port: this.#port, path: '/', agent })
        sent.end()
        const [response] = await once(sent, 'response')
        await textOf(response)
        if (response.statusCode === 200) count()
        else this.failed.push(`${agent === false ? 'new' : 'kept'}: ${response.statusCode}`)
      } catch (error) {
        this.failed.push(`${agent === false ? 'new' : 'kept'}: ${String(error)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/** A WebSocket that goes on through whatever happens. */
export class Echoing {
  readonly socket: WebSocket
  count = 0
  closed: number | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('close', (code) => (this.closed = code))
    socket.on('error', () => {})
    socket.on('message', (data) => {
      if (String(data) === String(this.count)) this.count++
      setTimeout(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send(String(this.count))
      }, 20)
    })
  }

  static async open(t: Test, port: number): Promise<Echoing> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`)
    await once(socket, 'open')
    t.teardown(() => socket.terminate())
    const echoing = new Echoing(socket)
    socket.send('0')
    return echoing
  }
}
