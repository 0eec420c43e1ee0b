// Installs the programs that the tests use and that are missing: as root, with apt-get. Elsewhere it says what is missing.
// `--compiler` asks for the C compiler as well. Never fails: tests say themselves what they cannot do without.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Where Debian keeps the sources of Go packages. */
export const GO_PACKAGES = '/usr/share/gocode'

/** `commands`: any of them will do. `file`: must be there as well. `packages`: Debian's. */
const TOOLS = [
  { commands: ['nginx'], packages: ['nginx'], use: 'a real target' },
  { commands: ['haproxy'], packages: ['haproxy'], use: 'the other end of the PROXY protocol' },
  { commands: ['curl'], packages: ['curl'], use: 'a real client' },
  { commands: ['openssl'], packages: ['openssl'], use: 'certificates and a TLS client of its own' },
  { commands: ['testssl', 'testssl.sh'], packages: ['testssl.sh', 'dnsutils', 'bsdextrautils'], use: 'the TLS audit' },
  { commands: ['h2load'], packages: ['nghttp2-client'], use: 'HTTP/2 clients' },
  { commands: ['redis-server'], packages: ['redis-server', 'redis-sentinel'], use: 'what a pair shares' },
  { commands: ['keepalived'], packages: ['keepalived'], use: 'addresses that move between hosts' },
  { commands: ['iptables'], packages: ['iptables'], use: 'targets behind a firewall' },
  { commands: ['chromium', 'chromium-browser', 'google-chrome'], packages: ['chromium'], use: 'the dashboard' },
  { commands: ['promtool'], packages: ['prometheus'], use: 'the linter of metrics' },
  { commands: ['ip'], packages: ['iproute2'], use: 'network namespaces' },
  { commands: ['perl'], packages: ['perl-base'], use: 'the socket of a service manager' },
  { commands: ['prlimit'], packages: ['util-linux'], use: 'small open-file limits' },
  {
    commands: ['go'],
    file: join(GO_PACKAGES, 'src/google.golang.org/grpc/server.go'),
    packages: ['golang-go', 'golang-google-grpc-dev'],
    use: 'gRPC clients and servers in Go',
    long: true,
  },
]
const COMPILER = { commands: ['cc'], packages: ['gcc', 'libc6-dev'], use: 'the native addon' }

/** Debian keeps servers where the PATH of ordinary users does not look. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` }

function isInstalled({ commands, file }) {
  if (file !== undefined && !existsSync(file)) return false
  return commands.some((command) => spawnSync('sh', ['-c', `command -v ${command}`], { env }).status === 0)
}

function aptGet(...args) {
  // RUNLEVEL=1: a web server that comes as a package must not begin to serve.
  const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const done = spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], { env: quiet, encoding: 'utf8' })
  if (done.status !== 0) console.warn(`apt-get ${args[0]} failed: ${(done.stderr ?? String(done.error)).trim()}`)
  return done.status === 0
}

export function installTools({ compiler = false } = {}) {
  // A compiler for one test that `npm test` leaves out is not worth a minute of everybody's.
  const tools = TOOLS.filter(({ long }) => long !== true || process.env.CASTOR_LONG === '1')
  const wanted = compiler ? [COMPILER, ...tools] : tools
  const missing = wanted.filter((tool) => !isInstalled(tool))
  if (missing.length === 0) return
  const packages = missing.flatMap((tool) => tool.packages)
  if (process.getuid?.() !== 0 || !isInstalled({ commands: ['apt-get'] })) {
    console.warn('Some tests need programs that are not installed, and are skipped:')
    for (const { commands, use } of missing) console.warn(`  ${commands[0]} (${use})`)
    console.warn(`On Debian: sudo apt-get install ${packages.join(' ')}`)
    return
  }
  console.log(`installing ${packages.join(' ')}`)
  aptGet('update')
  const install = (...names) => aptGet('install', '-y', '--no-install-recommends', ...names)
  // All at once, or else one by one: a name that this system does not know must not cost the others.
  if (!install(...packages)) for (const tool of missing) install(...tool.packages)
  for (const tool of missing) {
    if (!isInstalled(tool)) console.warn(`${tool.commands[0]} (${tool.use}) could not be installed`)
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  installTools({ compiler: process.argv.includes('--compiler') })
}
