import { execFileSync } from 'node:child_process'
import type { Test } from './castor.js'

/** A network namespace behind a pair of virtual interfaces, in which everything that comes can be dropped. */
export class NetworkNamespace {
  /** Its own address, to be reached from this side. */
  readonly address: string
  /** The address of this side, to be reached from within it. */
  readonly outside: string
  /** A command that runs another one within it. */
  readonly enter: readonly string[]
  readonly #iptables: string

  constructor(address: string, outside: string, enter: readonly string[], iptables: string) {
    this.address = address
    this.outside = outside
    this.enter = enter
    this.#iptables = iptables
  }

  /** From now on nothing that comes is answered, refused or let in. */
  closeFirewall(): void {
    this.#run('-A')
  }

  openFirewall(): void {
    this.#run('-D')
  }

  /** From now on connections made in it have ports of this range only. */
  limitPorts(first: number, last: number): void {
    const [file, ...rest] = this.enter
    const write = `echo ${first} ${last} > /proc/sys/net/ipv4/ip_local_port_range`
    execFileSync(file!, [...rest, 'sh', '-c', write], { stdio: 'pipe' })
  }

  #run(change: '-A' | '-D'): void {
    const [file, ...rest] = [...this.enter, this.#iptables, '-w', change, 'INPUT', '-j', 'DROP']
    execFileSync(file!, rest, { stdio: 'pipe' })
  }
}

/** Makes a namespace, which the test's end removes. Throws with the system's reason where that is not permitted. */
export function newNamespace(t: Test, tools: { readonly ip: string; readonly iptables: string }): NetworkNamespace {
  const run = (...args: string[]): void => {
    execFileSync(tools.ip, args, { stdio: 'pipe' })
  }
  const name = `castor-${process.pid}`
  const [outer, inner] = [`cs${process.pid}o`, `cs${process.pid}i`]
  // From 198.18.0.0/15, which is set aside for tests of network devices: four addresses for each process id.
  const block = (process.pid % 32_768) * 4
  const at = (host: number): string => `198.${18 + (block >> 16)}.${(block >> 8) & 255}.${(block & 255) + host}`
  run('netns', 'add', name)
  t.teardown(() => {
    // The interfaces go with it.
    run('netns', 'del', name)
  })
  run('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name)
  run('addr', 'add', `${at(1)}/30`, 'dev', outer)
  run('link', 'set', outer, 'up')
  run('-n', name, 'addr', 'add', `${at(2)}/30`, 'dev', inner)
  run('-n', name, 'link', 'set', inner, 'up')
  run('-n', name, 'link', 'set', 'lo', 'up')
  return new NetworkNamespace(at(2), at(1), [tools.ip, 'netns', 'exec', name], tools.iptables)
}
