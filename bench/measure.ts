import { readdirSync, readFileSync } from 'node:fs'

/** What a proxy has used of the processor since it began. */
export interface CpuReading {
  /** User and system time of all its threads, nanoseconds, from the scheduler's own account. */
  readonly totalNs: number
  /** The same split in two, in clock ticks: only their proportion is used. */
  readonly userTicks: number
  readonly systemTicks: number
}

export interface CpuSpent {
  readonly totalUs: number
  readonly userUs: number
  readonly systemUs: number
}

/** The fields of /proc/PID/stat that count here; the name in parentheses may hold anything, so read from its end. */
interface Stat {
  readonly group: number
  readonly userTicks: number
  readonly systemTicks: number
}

function readStat(pid: number | string): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { group: Number(fields[2]), userTicks: Number(fields[11]), systemTicks: Number(fields[12]) }
}

/** The processes of a group: every proxy is started as the leader of its own. */
function processesOf(group: number): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && readStat(name)?.group === group)
}

/**
 * Sums over the processes and living threads of a process group. A thread that ends between two readings takes its
 * time with it; none of the proxies starts threads per request.
 */
export function readCpu(group: number): CpuReading {
  let totalNs = 0
  let userTicks = 0
  let systemTicks = 0
  for (const pid of processesOf(group)) {
    const stat = readStat(pid)
    if (stat === undefined) continue
    userTicks += stat.userTicks
    systemTicks += stat.systemTicks
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        totalNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
      } catch {
        // The thread has just ended.
      }
    }
  }
  return { totalNs, userTicks, systemTicks }
}

/** Processor time of each thread of a process so far, nanoseconds, by the kernel's number of the thread. */
export type ThreadTimes = ReadonlyMap<number, number>

export function readThreads(pid: number): ThreadTimes {
  const times = new Map<number, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')
      times.set(Number(thread), Number(text.split(' ')[0]))
    } catch {
      // The thread has just ended.
    }
  }
  return times
}

export function cpuSpent(before: CpuReading, after: CpuReading): CpuSpent {
  const user = after.userTicks - before.userTicks
  const system = after.systemTicks - before.systemTicks
  const totalUs = (after.totalNs - before.totalNs) / 1000
  const userUs = user + system === 0 ? 0 : (totalUs * user) / (user + system)
  return { totalUs, userUs, systemUs: totalUs - userUs }
}

/** Resident memory of a process group, bytes. Pages shared between its processes count once for each. */
export function residentBytes(group: number): number {
  let kib = 0
  for (const pid of processesOf(group)) {
    try {
      kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
    } catch {
      // The process has just ended.
    }
  }
  return kib * 1024
}

/** Clock ticks in which a core did anything at all, and in which it did nothing. */
export function readCore(core: number): { readonly busy: number; readonly idle: number } {
  const line = readFileSync('/proc/stat', 'latin1')
    .split('\n')
    .find((text) => text.startsWith(`cpu${core} `))
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = (line ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return { busy: user + nice + system + irq + softirq + steal, idle: idle + wait }
}

/** Connections the kernel holds open at a local port. */
export function establishedAt(port: number): number {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  // "  12: 0100007F:1F90 0200007F:D431 01 …": number, local end, far end, state (01 = established).
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  return lines.filter((line) => /^\s*\d+: [0-9A-F]{8}:([0-9A-F]{4}) \S+ 01 /.exec(line)?.[1] === hexPort).length
}
