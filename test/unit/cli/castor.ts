import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A running `castor`; what it prints gathers in `stdout` and `stderr`. */
export class RunningCommand {
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess
  readonly #closed: Promise<number | null>
  #wake: () => void = () => {}

  constructor(args: readonly string[], options: RunOptions = {}) {
    const env = { PATH: process.env.PATH ?? '', ...options.env }
    this.#child = spawn(process.execPath, [MAIN, ...args], { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk)
      this.#wake()
    })
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk)
      this.#wake()
    })
    this.#closed = once(this.#child, 'close').then(([code]) => {
      this.#wake()
      return code as number | null
    })
  }

  /** Resolves once `found` says yes to all that was printed so far; rejects when the command ends before. */
  async until(found: (command: RunningCommand) => boolean): Promise<void> {
    let ended = false
    this.#closed.then(() => {
      ended = true
    })
    while (!found(this)) {
      if (ended) throw new Error(`castor ended early:\n${this.stdout}\n${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async ended(): Promise<Outcome> {
    const code = await this.#closed
    return { code, stdout: this.stdout, stderr: this.stderr }
  }
}

/** Runs the compiled program to its end. */
export function castor(args: readonly string[], options?: RunOptions): Promise<Outcome> {
  return new RunningCommand(args, options).ended()
}

/** A web server on a free port of loopback. */
export async function serve(listener: RequestListener): Promise<{ server: Server; address: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** A port of loopback on which nothing listens (any more). */
export async function closedPort(): Promise<string> {
  const { server, address } = await serve(() => {})
  server.close()
  await once(server, 'close')
  return address
}

export const SMALL_CONFIG = `listeners:
  - name: web
    protocol: http
    listen: 127.0.0.1:8080
    targetGroup: app
targetGroups:
  - name: app
    protocol: http
    targets:
      - address: 127.0.0.1:9001
`
