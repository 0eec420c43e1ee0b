import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ConfigFile, withDefaults } from './balancer.js'
import type { Test } from './castor.js'
import { Metrics } from './metrics.js'
import { until } from './until.js'
import { within } from './waiting.js'

export const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))

export interface ChildOptions {
  /** A command that runs it, such as one that enters a network namespace. */
  readonly within?: readonly string[]
  /** Its open-file limit, soft and hard. */
  readonly openFiles?: number
  /** What runs in place of `castor start`; gets the configuration file's name as its last argument. */
  readonly program?: readonly string[]
  readonly nodeOptions?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Descriptors in place of pipes to this process. */
  readonly stdout?: number
  readonly stderr?: number
  /** What it inherits beside the standard streams, from descriptor 3 on. */
  readonly descriptors?: readonly number[]
}

/** A test that ends early must not leave its processes behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A balancer in a process of its own. */
export class ChildCastor {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly #ended: Promise<number | NodeJS.Signals>

  constructor(args: readonly string[], options: ChildOptions = {}) {
    const command = [...(options.within ?? []), process.execPath, ...(options.nodeOptions ?? []), ...args]
    const limit = options.openFiles
    const [file, ...rest] =
      limit === undefined ? command : ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh', ...command]
    this.child = spawn(file!, rest, {
      stdio: ['pipe', options.stdout ?? 'pipe', options.stderr ?? 'pipe', ...(options.descriptors ?? [])],
      env: { ...process.env, ...options.env },
    })
    const { child } = this
    running.add(child)
    child.once('exit', () => running.delete(child))
    this.child.stdout?.on('data', (data) => (this.stdout += String(data)))
    this.child.stderr?.on('data', (data) => (this.stderr += String(data)))
    this.child.stdin?.on('error', () => {})
    this.#ended = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  }

  get pid(): number {
    return this.child.pid!
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Exit code or signal. Rejects, with all it said, when it does not end in time. */
  async ended(timeoutMs = 10_000): Promise<number | NodeJS.Signals> {
    try {
      return await within('its end', this.#ended, timeoutMs)
    } catch (cause) {
      throw new Error(`still running:\n${this.stdout}${this.stderr}`, { cause })
    }
  }

  async kill(): Promise<void> {
    if (this.alive) this.child.kill('SIGKILL')
    await this.#ended
  }

  /** Resolves when it has said that it is ready; rejects, with what it said instead, when it ends before. */
  async ready(): Promise<void> {
    await until(
      'the lines of a ready balancer',
      () => this.stdout.includes('admin and dashboard on ') || !this.alive,
      15_000,
    )
    if (!this.alive) throw new Error(`ended before it was ready:\n${this.stdout}${this.stderr}`)
  }

  /** Port of a listener, as it printed it. */
  port(listener = 'in'): number {
    return this.#number(new RegExp(`^listening on \\w+://[^ ]*:(\\d+) \\(listener ${listener} `, 'm'))
  }

  get adminPort(): number {
    return this.#number(/^admin and dashboard on http:\/\/[^ ]*:(\d+)\//m)
  }

  metrics(): Promise<Metrics> {
    return Metrics.read(this.adminPort)
  }

  /** Open descriptors. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }

  get residentBytes(): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1]) * 1024
  }

  /** Processor time used so far, by all threads, in milliseconds (USER_HZ is 100 on every Linux). */
  get cpuMs(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  #number(pattern: RegExp): number {
    const match = pattern.exec(this.stdout)
    if (match === null) throw new Error(`${pattern} is not in:\n${this.stdout}`)
    return Number(match[1])
  }
}

/** Writes the configuration to a file of its own, which the test's end removes. */
export async function configFile(t: Test, config: ConfigFile): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'castor.yaml')
  await writeFile(file, JSON.stringify(withDefaults(config)))
  return file
}

/** A balancer in a process of its own, ready; the test's end kills it. */
export async function startChild(t: Test, config: ConfigFile, options: ChildOptions = {}): Promise<ChildCastor> {
  const file = await configFile(t, config)
  const castor = new ChildCastor([...(options.program ?? [MAIN, 'start', '-c']), file], options)
  t.teardown(() => castor.kill())
  await castor.ready()
  return castor
}
