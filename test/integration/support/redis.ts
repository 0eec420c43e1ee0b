import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { parseRedisUrl } from '../../../src/config/redis-url.js'
import type { RedisConfig } from '../../../src/core/config.js'
import { findTool } from '../../tools.js'
import type { Test } from './castor.js'
import { until } from './until.js'

/** A test that ends early must not leave its processes behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A port that was free a moment ago, and low enough that a Redis Cluster's bus fits 10,000 above it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    if (port < 55_000) return port
  }
}

export interface RedisServerOptions {
  /** Further arguments, such as `--maxmemory 3mb`. */
  readonly args?: readonly string[]
  /** Lines of its configuration file; a sentinel rewrites its own. */
  readonly lines?: readonly string[]
  readonly sentinel?: boolean
  readonly port?: number
  /** The test's own, where it asks for one. */
  readonly password?: string
}

/** A real server that keeps nothing on disk: what restarts is empty. */
/** What a configuration with that URL says. */
export function redisAt(url: string): RedisConfig {
  const parsed = parseRedisUrl(url)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.value
}

export class RedisServer {
  readonly port: number
  readonly folder = mkdtempSync(join(tmpdir(), 'castor-redis-'))
  output = ''
  readonly #options: RedisServerOptions
  #child: ChildProcess | undefined
  #client: Redis | undefined

  private constructor(port: number, options: RedisServerOptions) {
    this.port = port
    this.#options = options
  }

  static async start(t: Test, options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options.port ?? (await freePort()), options)
    t.teardown(() => server.remove())
    await server.begin()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** The test's own connection, which comes back by itself. */
  get client(): Redis {
    this.#client ??= this.#newClient()
    return this.#client
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Starts it, with nothing in it, and waits until it answers. */
  async begin(): Promise<void> {
    const { args = [], lines = [], sentinel = false } = this.#options
    const file = join(this.folder, 'redis.conf')
    const own = ['bind 127.0.0.1', `port ${this.port}`, `dir ${this.folder}`, 'daemonize no', ...lines]
    if (!sentinel) own.push('save ""', 'appendonly no')
    writeFileSync(file, `${own.join('\n')}\n`)
    const child = spawn(findTool('redis-server')!, [file, ...(sentinel ? ['--sentinel'] : []), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.stdout!.on('data', (data) => (this.output += String(data)))
    child.stderr!.on('data', (data) => (this.output += String(data)))
    const ready = /Ready to accept connections|Running mode=sentinel|Sentinel ID is/
    this.output = ''
    await until(`a Redis on port ${this.port}`, () => ready.test(this.output) || child.exitCode !== null, 15_000)
    if (child.exitCode !== null) throw new Error(`redis-server ended: ${this.output}`)
  }

  /** In order, or not. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await ended
  }

  /** It hangs: its connections stay, and nothing answers. */
  freeze(): void {
    this.#child!.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child!.kill('SIGCONT')
  }

  async remove(): Promise<void> {
    this.#client?.disconnect()
    await this.end('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #newClient(): Redis {
    const password = this.#options.password === undefined ? {} : { password: this.#options.password }
    const client = new Redis({ host: '127.0.0.1', port: this.port, protocol: 2, ...password })
    client.on('error', () => {})
    return client
  }
}
