import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

let made = 0

/** Hosts that exist for one test: network namespaces on one bridge, each with an address in 10.77.0.0/24. */
export class Network {
  readonly #names = new Set<string>()
  readonly #children = new Set<ChildProcess>()
  readonly #prefix: string

  constructor() {
    this.#prefix = `cst${process.pid}n${++made}`
    this.#create('net')
    this.in('net', 'ip', 'link', 'add', 'br0', 'type', 'bridge')
    this.in('net', 'ip', 'link', 'set', 'br0', 'up')
  }

  /** A host with one interface, eth0. */
  addHost(host: string, address: string, ...more: readonly string[]): void {
    const name = this.#create(host)
    const port = `p${host}`
    this.in('net', 'ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
    this.in('net', 'ip', 'link', 'set', port, 'master', 'br0', 'up')
    this.in(host, 'ip', 'link', 'set', 'lo', 'up')
    this.in(host, 'ip', 'link', 'set', 'eth0', 'up')
    for (const one of [address, ...more]) this.in(host, 'ip', 'address', 'add', `${one}/24`, 'dev', 'eth0')
  }

  /** Runs a command on a host to its end. */
  in(host: string, ...command: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.nameOf(host), ...command], { encoding: 'utf8', stdio: 'pipe' })
  }

  /** Starts a program on a host; it is ended with the network. */
  run(host: string, command: string, args: readonly string[]): ChildProcess {
    // `exec` replaces the process, so that the child is the program itself.
    const child = spawn('ip', ['netns', 'exec', this.nameOf(host), command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stdin?.on('error', () => {})
    this.#children.add(child)
    child.on('exit', () => this.#children.delete(child))
    return child
  }

  /** Between the host and all others. */
  setLink(host: string, state: 'up' | 'down'): void {
    this.in('net', 'ip', 'link', 'set', `p${host}`, state)
  }

  /** Two hosts that cannot reach each other, while all others reach both. */
  setApart(hosts: readonly string[], apart: boolean): void {
    for (const host of hosts) {
      this.in('net', 'ip', 'link', 'set', `p${host}`, 'type', 'bridge_slave', 'isolated', apart ? 'on' : 'off')
    }
  }

  /** The host's namespace goes, with its interfaces. */
  removeHost(host: string): void {
    const name = this.nameOf(host)
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'pipe' })
    this.#names.delete(name)
  }

  holds(host: string, address: string): boolean {
    try {
      return this.in(host, 'ip', '-o', 'address', 'show').includes(` ${address}/`)
    } catch {
      return false
    }
  }

  /** Idempotent; also after half a construction. */
  async remove(): Promise<void> {
    const ends = [...this.#children].map(async (child) => {
      const ended = once(child, 'exit')
      // A frozen one takes no other signal.
      child.kill('SIGKILL')
      await ended
    })
    await Promise.all(ends)
    for (const name of this.#names) {
      try {
        execFileSync('ip', ['netns', 'delete', name], { stdio: 'pipe' })
      } catch {}
    }
    this.#names.clear()
  }

  #create(host: string): string {
    const name = this.nameOf(host)
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' })
    this.#names.add(name)
    return name
  }

  /** The namespace's own name. */
  nameOf(host: string): string {
    return `${this.#prefix}-${host}`
  }
}

/** Why there can be no such network here; undefined where there can. */
export function whyNoNetwork(tools: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const tool of tools) {
    try {
      execFileSync('sh', ['-c', `command -v ${tool}`], {
        stdio: 'pipe',
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      })
    } catch {
      return `${tool} is not installed`
    }
  }
  const probe = `cst${process.pid}-probe`
  try {
    execFileSync('ip', ['netns', 'add', probe], { stdio: 'pipe' })
    execFileSync('ip', ['netns', 'exec', probe, 'ip', 'link', 'add', 'v0', 'type', 'veth'], { stdio: 'pipe' })
    execFileSync('ip', ['netns', 'delete', probe], { stdio: 'pipe' })
  } catch (cause) {
    return `this machine allows no network namespaces: ${String((cause as { stderr?: Buffer }).stderr ?? cause).trim()}`
  }
  return undefined
}
