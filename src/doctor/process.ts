import type { Finding, Host } from './finding.js'

const LEAST_FILES = 65_536
const DAY_MS = 86_400_000

/** When a line of Node's releases gets no more mends, as its project has announced. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
}
const LEAST_NODE = [20, 20] as const
const NEWEST_NODE = 26
const NEWER = 'install a current long-term release (https://nodejs.org/en/download)'

export interface ProcessFacts {
  /** The addon's transport is there and was not switched off. */
  readonly isNative: boolean
  /** Where secrets and state are kept. */
  readonly stateDir: string
  /** Ports below the first that anybody may open. */
  readonly ports: readonly number[]
}

/** What the process itself runs with. */
export function processFindings(host: Host, facts: ProcessFacts): readonly Finding[] {
  return [node(host), addon(facts), openFiles(host), lowPorts(host, facts), state(host, facts)]
}

function node({ nodeVersion, nowMs }: Host): Finding {
  const what = 'Node'
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const found = `Node ${nodeVersion}`
  if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1]))
    return {
      what,
      grade: 'fail',
      found,
      advice: `Castor needs ${LEAST_NODE.join('.')} or newer; ${NEWER}`,
    }
  const end = END_OF_LIFE[major]
  if (end === undefined) {
    const isOdd = major < NEWEST_NODE
    const advice = `a line of releases that Castor is not tested with; ${NEWER}`
    return isOdd ? { what, grade: 'warn', found, advice } : { what, grade: 'ok', found }
  }
  const endMs = Date.parse(end)
  if (nowMs >= endMs) return { what, grade: 'warn', found, advice: `no security fixes since ${end}; ${NEWER}` }
  const days = Math.ceil((endMs - nowMs) / DAY_MS)
  return { what, grade: 'ok', found: `${found}, with security fixes for ${days} more days` }
}

function addon({ isNative }: ProcessFacts): Finding {
  const what = 'native transport'
  if (isNative) return { what, grade: 'ok', found: 'the addon is built and loads' }
  return {
    what,
    grade: 'warn',
    found: 'the addon is not in use',
    advice: 'Castor serves on Node’s own sockets, at several times the CPU',
    commands: ['apt install build-essential', 'npm run build:native', 'unset CASTOR_NATIVE'],
  }
}

function openFiles(host: Host): Finding {
  const what = 'open files'
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(host.read('/proc/self/limits') ?? '')?.[1]
  if (limit === undefined) return { what, grade: 'unknown', found: 'the limit cannot be read here' }
  const found = `this shell allows ${limit}`
  if (limit === 'unlimited' || Number(limit) >= LEAST_FILES) return { what, grade: 'ok', found }
  return {
    what,
    grade: 'warn',
    found,
    advice: 'every client needs two descriptors, its own and its target’s; a service has a limit of its own',
    commands: [`ulimit -n ${LEAST_FILES}`, 'systemctl edit castor   # [Service] LimitNOFILE=1048576'],
  }
}

function lowPorts(host: Host, { ports }: ProcessFacts): Finding {
  const what = 'low ports'
  const first = Number(host.read('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? 1_024)
  const low = ports.filter((port) => port > 0 && port < first)
  if (low.length === 0) return { what, grade: 'ok', found: 'no listener needs rights for its port' }
  const found = `port${low.length === 1 ? '' : 's'} ${low.join(', ')} below ${first}`
  if (host.isRoot) return { what, grade: 'ok', found: `${found}, and this is root` }
  return {
    what,
    grade: 'warn',
    found,
    advice: 'only root, or a process with the capability, may listen there',
    commands: [
      'systemctl edit castor   # [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE',
      'sysctl -w net.ipv4.ip_unprivileged_port_start=80',
    ],
  }
}

function state(host: Host, { stateDir }: ProcessFacts): Finding {
  const what = 'state directory'
  if (stateDir === '') return { what, grade: 'unknown', found: 'none is known' }
  try {
    host.tryToWrite(stateDir)
    return { what, grade: 'ok', found: `${stateDir} can be written` }
  } catch (fault) {
    return {
      what,
      grade: 'warn',
      found: `${stateDir} cannot be written: ${(fault as NodeJS.ErrnoException).code ?? String(fault)}`,
      advice:
        'the secret of sticky cookies is another one after each start, and clients lose their targets; stateDir names another directory',
      commands: ['systemctl edit castor   # [Service] StateDirectory=castor'],
    }
  }
}
