import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { MAIN } from '../../integration/support/child-castor.js'
import { until } from '../../integration/support/until.js'
import { Network } from './namespaces.js'

export const VIP_A = '10.77.0.101'
export const VIP_B = '10.77.0.102'
const CLIENT = '10.77.0.2'
const BEHIND = '10.77.0.3'
const HOSTS = { a: '10.77.0.11', b: '10.77.0.12' } as const
export type HostName = keyof typeof HOSTS
const PORTS = ['9001', '9002', '9003']
export const SOURCES = Array.from({ length: 30 }, (_, i) => `10.77.0.${150 + i}`)
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** What a series of requests came to. */
export interface Series {
  readonly sent: number
  readonly failed: number
  readonly gapMs: number
  readonly errors: Readonly<Record<string, number>>
}

/** Two balancers with keepalived, a client, and a host with Redis and the targets, all on one bridge. */
export class Pair {
  readonly network = new Network()
  readonly #folder = mkdtempSync(join(tmpdir(), 'castor-pair-'))
  readonly #advertInterval: string
  readonly #castors = new Map<HostName, ChildProcess>()
  readonly #keepaliveds = new Map<HostName, ChildProcess>()
  #clients: ChildProcess | undefined
  #answers = new Map<number, (data: unknown) => void>()
  #orders = 0
  log = ''

  constructor(advertInterval: string) {
    this.#advertInterval = advertInterval
  }

  async start(): Promise<void> {
    const { network } = this
    network.addHost('c', CLIENT, ...SOURCES)
    network.addHost('t', BEHIND)
    for (const [host, address] of Object.entries(HOSTS)) network.addHost(host, address)
    network.run('t', 'redis-server', ['--port', '6379', '--save', '', '--bind', BEHIND, '--protected-mode', 'no'])
    const targets = network.run('t', process.execPath, [file('target.js'), ...PORTS])
    await once(targets.stdout!, 'data')
    await this.#startClients()
    await Promise.all([this.startHost('a'), this.startHost('b')])
    await until('each host having its address', () => network.holds('a', VIP_A) && network.holds('b', VIP_B), 20_000)
  }

  /** The balancer and keepalived of a host; resolves when it listens. */
  async startHost(host: HostName): Promise<void> {
    const config = join(this.#folder, `${host}.yaml`)
    writeFileSync(config, this.#config(host))
    await this.startCastor(host)
    const written = join(this.#folder, `${host}.conf`)
    execFileSync(process.execPath, [MAIN, 'keepalived', '-c', config, '-o', written], { stdio: 'pipe' })
    const files = ['-p', 'pid', '-r', 'vrrp', '-c', 'checkers'].map((part, i) =>
      i % 2 === 0 ? part : join(this.#folder, `${host}.${part}`),
    )
    const keepalived = this.network.run(host, 'keepalived', ['-n', '-l', '-P', '-f', written, ...files])
    keepalived.stdout?.on('data', (text) => (this.log += `${host} keepalived: ${text}`))
    keepalived.stderr?.on('data', (text) => (this.log += `${host} keepalived: ${text}`))
    this.#keepaliveds.set(host, keepalived)
  }

  async startCastor(host: HostName): Promise<void> {
    const castor = this.network.run(host, process.execPath, [MAIN, 'start', '-c', join(this.#folder, `${host}.yaml`)])
    castor.stderr!.on('data', (text) => (this.log += `${host}: ${text}`))
    this.#castors.set(host, castor)
    const lines = createInterface(castor.stdout!)
    for await (const line of lines) if (line.startsWith('admin and dashboard')) break
    castor.stdout!.resume()
  }

  /** Signals the balancer itself. */
  signal(host: HostName, signal: NodeJS.Signals): void {
    this.#castors.get(host)!.kill(signal)
  }

  isRunning(host: HostName): boolean {
    const castor = this.#castors.get(host)
    return castor !== undefined && castor.exitCode === null && castor.signalCode === null
  }

  /** Resolves with the exit code once the balancer has ended. */
  async ended(host: HostName): Promise<number | null> {
    const castor = this.#castors.get(host)!
    if (castor.exitCode === null && castor.signalCode === null) await once(castor, 'exit')
    return castor.exitCode
  }

  /** The whole host is gone at once: its place in the network first, so that none of its processes says goodbye. */
  destroyHost(host: HostName): void {
    this.network.setLink(host, 'down')
    this.#castors.get(host)!.kill('SIGKILL')
    this.#keepaliveds.get(host)!.kill('SIGKILL')
    this.network.removeHost(host)
  }

  begin(name: string, address: string, keepAlive: boolean): Promise<unknown> {
    return this.#order({ do: 'begin', name, address, keepAlive })
  }

  async end(name: string): Promise<Series> {
    return (await this.#order({ do: 'end', name })) as Series
  }

  /** Which target each source address is answered by. */
  async bound(address: string, sources: readonly string[]): Promise<readonly string[]> {
    return (await this.#order({ do: 'bound', address, sources })) as string[]
  }

  async stop(): Promise<void> {
    for (const host of Object.keys(HOSTS) as HostName[]) {
      try {
        this.network.setLink(host, 'up')
      } catch {}
    }
    await this.network.remove()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #startClients(): Promise<void> {
    const clients = this.network.run('c', process.execPath, [file('clients.js')])
    this.#clients = clients
    clients.stderr!.on('data', (text) => (this.log += `clients: ${text}`))
    const ready = new Promise((resolve) => this.#answers.set(0, resolve))
    createInterface(clients.stdout!).on('line', (line) => {
      const { id, data } = JSON.parse(line) as { id: number; data: unknown }
      this.#answers.get(id)?.(data)
      this.#answers.delete(id)
    })
    await ready
  }

  #order(order: object): Promise<unknown> {
    const id = ++this.#orders
    return new Promise((resolve) => {
      this.#answers.set(id, resolve)
      this.#clients!.stdin!.write(`${JSON.stringify({ id, ...order })}\n`)
    })
  }

  #config(host: HostName): string {
    const hosts = Object.entries(HOSTS).map(([name, address]) => ({ node: `lb-${name}`, address }))
    const vip = (address: string, prefer: string, routerId: number) => ({
      address: `${address}/24`,
      interface: 'eth0',
      prefer,
      routerId,
      advertInterval: this.#advertInterval,
    })
    return JSON.stringify({
      node: `lb-${host}`,
      workers: 1,
      log: { level: 'info', access: 'off' },
      shutdownTimeout: '5s',
      listeners: [{ name: 'web', protocol: 'http', listen: '0.0.0.0:80', targetGroup: 'app' }],
      targetGroups: [
        {
          name: 'app',
          protocol: 'http',
          stickiness: { type: 'source-ip', timeout: '300s' },
          healthCheck: { protocol: 'off' },
          targets: PORTS.map((port) => ({ address: `${BEHIND}:${port}` })),
        },
      ],
      cluster: { name: 'pair', redis: `redis://${BEHIND}:6379`, secret: 'a secret of the pair test', hosts },
      vips: [vip(VIP_A, 'lb-a', 51), vip(VIP_B, 'lb-b', 52)],
    })
  }
}
