import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { type Examined, examine } from '../../../src/doctor/examine.js'
import type { Finding, Host } from '../../../src/doctor/finding.js'

const NOW_MS = Date.parse('2026-06-01')

/** A host on which all is as it should be. */
const FILES: Readonly<Record<string, string>> = {
  '/proc/self/limits': 'Max open files            1048576              1048576              files',
  '/proc/sys/net/core/somaxconn': '4096',
  '/proc/sys/net/ipv4/tcp_max_syn_backlog': '8192',
  '/proc/sys/net/ipv4/tcp_syncookies': '1',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999',
  '/proc/sys/net/ipv4/ip_unprivileged_port_start': '1024',
  '/proc/sys/net/netfilter/nf_conntrack_max': '262144',
  '/proc/sys/net/netfilter/nf_conntrack_count': '1000',
}
const PROGRAMS: Readonly<Record<string, string>> = {
  timedatectl: 'yes',
  nft: 'nftables v1.0.6',
  sh: '/usr/sbin/keepalived',
  pidof: '123',
}

interface Changes {
  readonly files?: Readonly<Record<string, string | undefined>>
  readonly programs?: Readonly<Record<string, string | undefined>>
  readonly host?: Partial<Host>
  readonly given?: Partial<Examined>
}

function examined({ files, programs, host, given }: Changes = {}): readonly Finding[] {
  const has = { ...FILES, ...files }
  const runs = { ...PROGRAMS, ...programs }
  return examine(
    {
      read: (path) => has[path],
      run: (program) => runs[program],
      tryToWrite() {},
      nodeVersion: '24.1.0',
      isRoot: false,
      nowMs: NOW_MS,
      ...host,
    },
    { config: undefined, warnings: [], isNative: true, stateDir: '/state', redis: undefined, ...given },
  )
}

const CONFIG = parseConfig(
  `listeners: [{ name: web, protocol: http, listen: "0.0.0.0:80", targetGroup: app }]
targetGroups: [{ name: app, protocol: http, targets: [{ address: 127.0.0.1:9001 }] }]
vips: [{ address: 192.0.2.10/24, interface: eth0, prefer: lb-a, routerId: 51 }]
`,
  'test.yaml',
)

t.test('on a host that is in order nothing is to be done', async (t) => {
  for (const { what, grade, commands } of examined({
    given: { config: CONFIG, redis: { version: '7.0.15', evicts: '', aheadMs: 3, roundTripMs: 0.4 } },
    host: { isRoot: true },
  })) {
    t.equal(grade, 'ok', what)
    t.equal(commands, undefined, what)
  }
})

const CASES: readonly (readonly [string, Changes, string, Finding['grade'], RegExp])[] = [
  [
    'a short accept queue',
    { files: { '/proc/sys/net/core/somaxconn': '128' } },
    'accept queue',
    'warn',
    /sysctl -w net\.core\.somaxconn="4096"/,
  ],
  [
    'no SYN cookies',
    { files: { '/proc/sys/net/ipv4/tcp_syncookies': '0' } },
    'SYN cookies',
    'warn',
    /tcp_syncookies="1"/,
  ],
  [
    'few ports',
    { files: { '/proc/sys/net/ipv4/ip_local_port_range': '60000\t60999' } },
    'ports to targets',
    'warn',
    /1000 for each/,
  ],
  [
    'a full connection table',
    { files: { '/proc/sys/net/netfilter/nf_conntrack_count': '250000' } },
    'connection tracking',
    'fail',
    /nf_conntrack_max="1048576"/,
  ],
  [
    'a host without connection tracking',
    { files: { '/proc/sys/net/netfilter/nf_conntrack_max': undefined } },
    'connection tracking',
    'ok',
    /tracks no connections/,
  ],
  [
    'few files',
    { files: { '/proc/self/limits': 'Max open files            1024                 4096                 files' } },
    'open files',
    'warn',
    /LimitNOFILE/,
  ],
  ['no /proc', { files: { '/proc/self/limits': undefined } }, 'open files', 'unknown', /cannot be read/],
  [
    'a Node without security fixes',
    { host: { nodeVersion: '20.20.2' } },
    'Node',
    'warn',
    /no security fixes since 2026-04-30/,
  ],
  ['a Node that is too old', { host: { nodeVersion: '18.19.0' } }, 'Node', 'fail', /needs 20\.20/],
  ['an odd Node', { host: { nodeVersion: '23.1.0' } }, 'Node', 'warn', /not tested/],
  ['no addon', { given: { isNative: false } }, 'native transport', 'warn', /build:native/],
  ['a low port without the right', { given: { config: CONFIG } }, 'low ports', 'warn', /CAP_NET_BIND_SERVICE/],
  [
    'a state directory of somebody else',
    {
      host: {
        tryToWrite() {
          throw Object.assign(new Error('no'), { code: 'EACCES' })
        },
      },
    },
    'state directory',
    'warn',
    /EACCES.*StateDirectory/s,
  ],
  ['a clock on its own', { programs: { timedatectl: 'no' } }, 'clock', 'warn', /set-ntp true/],
  ['no way to tell the clock', { programs: { timedatectl: undefined } }, 'clock', 'unknown', /could tell/],
  [
    'addresses that nobody moves',
    { programs: { sh: undefined }, given: { config: CONFIG } },
    'keepalived',
    'fail',
    /apt install keepalived/,
  ],
  [
    'a keepalived that stands still',
    { programs: { pidof: undefined }, given: { config: CONFIG } },
    'keepalived',
    'fail',
    /not running/,
  ],
  ['no nft', { programs: { nft: undefined } }, 'nftables', 'warn', /apt install nftables/],
  ['a Redis that is away', { given: { redis: 'connect ECONNREFUSED' } }, 'Redis', 'fail', /ECONNREFUSED/],
  [
    'a Redis that evicts',
    { given: { redis: { version: '7', evicts: 'allkeys-lru', aheadMs: 0, roundTripMs: 1 } } },
    'memory of Redis',
    'fail',
    /noeviction/,
  ],
  [
    'a Redis of another time',
    { given: { redis: { version: '7', evicts: '', aheadMs: -9_000, roundTripMs: 1 } } },
    'clock of Redis',
    'warn',
    /9000 ms behind/,
  ],
]

for (const [name, changes, what, grade, says] of CASES) {
  t.test(`${name} is told, with what to do`, async (t) => {
    const found = examined(changes).find((finding) => finding.what === what)
    t.equal(found?.grade, grade)
    t.match(JSON.stringify(found).replaceAll('\\"', '"'), says)
    if ((grade === 'warn' || grade === 'fail') && what !== 'Node') t.ok((found?.commands ?? []).length > 0, 'a command')
  })
}
