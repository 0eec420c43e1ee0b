import type { Finding, Host } from './finding.js'

const SYSCTL = '/proc/sys/'

interface Setting {
  readonly key: string
  readonly what: string
  readonly least: number
  /** What less than that costs. */
  readonly why: string
}

const SETTINGS: readonly Setting[] = [
  {
    key: 'net.core.somaxconn',
    what: 'accept queue',
    least: 4_096,
    why: 'clients that arrive at one moment find the queue of a listening socket full and try again a second later',
  },
  {
    key: 'net.ipv4.tcp_max_syn_backlog',
    what: 'half-open connections',
    least: 4_096,
    why: 'connections that are being opened are dropped early in a burst or a SYN flood',
  },
  {
    key: 'net.ipv4.tcp_syncookies',
    what: 'SYN cookies',
    least: 1,
    why: 'a SYN flood from forged addresses locks everybody out',
  },
]

/** Fewer ports than this run out with some hundred new connections a second to one target, a minute each. */
const LEAST_PORTS = 28_000
/** Of its connection tracking table, what may be in use before new connections are near to being dropped. */
const TRACKED_SHARE = 0.8

/** What of the kernel's settings stands in the way of a busy balancer. */
export function kernelFindings(host: Host): readonly Finding[] {
  return [...SETTINGS.map((setting) => settingFinding(host, setting)), portRange(host), connectionTracking(host)]
}

function settingFinding(host: Host, { key, what, least, why }: Setting): Finding {
  const text = host.read(SYSCTL + key.replaceAll('.', '/'))
  if (text === undefined) return { what, grade: 'unknown', found: `${key} cannot be read here` }
  const found = `${key} is ${text}`
  if (Number(text) >= least) return { what, grade: 'ok', found }
  return { what, grade: 'warn', found, advice: `with less than ${least}, ${why}`, commands: sysctl(key, String(least)) }
}

function portRange(host: Host): Finding {
  const key = 'net.ipv4.ip_local_port_range'
  const what = 'ports to targets'
  const text = host.read(`${SYSCTL}net/ipv4/ip_local_port_range`)
  if (text === undefined) return { what, grade: 'unknown', found: `${key} cannot be read here` }
  const [first = 0, last = 0] = text.split(/\s+/).map(Number)
  const found = `${key} is ${first} ${last}, ${last - first + 1} for each address of a target`
  if (last - first + 1 >= LEAST_PORTS) return { what, grade: 'ok', found }
  const advice = 'connections to one target fail with EADDRNOTAVAIL (LOCAL_SHORTAGE) when all are in use'
  return { what, grade: 'warn', found, advice, commands: sysctl(key, '1024 65535') }
}

function connectionTracking(host: Host): Finding {
  const what = 'connection tracking'
  const folder = `${SYSCTL}net/netfilter/nf_conntrack_`
  const most = Number(host.read(`${folder}max`) ?? Number.NaN)
  const used = Number(host.read(`${folder}count`) ?? Number.NaN)
  if (Number.isNaN(most) || Number.isNaN(used))
    return { what, grade: 'ok', found: 'the kernel tracks no connections here' }
  const found = `${used} of ${most} connections are tracked`
  if (used < most * TRACKED_SHARE) return { what, grade: 'ok', found }
  const advice =
    'when the table is full the kernel drops new connections without a word; a balancer needs twice its connections'
  return { what, grade: 'fail', found, advice, commands: sysctl('net.netfilter.nf_conntrack_max', String(most * 4)) }
}

/** For now, and for the next start of the host. */
function sysctl(key: string, value: string): readonly string[] {
  return [`sysctl -w ${key}="${value}"`, `echo '${key} = ${value}' >> /etc/sysctl.d/90-castor.conf`]
}
