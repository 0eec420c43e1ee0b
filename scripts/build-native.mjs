// Compiles src/native/*.c into dist/native/castor.node with the system's C compiler and the headers that came with Node.
// Where that cannot be done the install goes on: Castor then falls back to the slower shared-listen acceptor. With
// --sanitize: into dist-asan/, with AddressSanitizer and UndefinedBehaviorSanitizer, for scripts/test-asan.mjs.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = join(root, 'src/native')
const sanitize = process.argv.includes('--sanitize')
const folder = join(root, sanitize ? 'dist-asan/native' : 'dist/native')
const output = join(folder, 'castor.node')

/** What keepalived runs once a second (scripts/castor-ready): a program of its own. */
const readySource = join(root, 'scripts/castor-ready.c')
const readyOutput = join(folder, 'castor-ready')

// What is undefined ends the process as what is out of bounds does, so that no test passes over it.
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-g', '-O1']

const newest = Math.max(
  statSync(readySource).mtimeMs,
  ...readdirSync(sources)
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => statSync(join(sources, name)).mtimeMs),
)

const isCurrent = (path) => existsSync(path) && statSync(path).mtimeMs > newest
if (process.argv.includes('--if-needed') && isCurrent(output) && isCurrent(readyOutput)) process.exit(0)

function giveUp(reason) {
  rmSync(output, { force: true })
  console.warn(`castor: the native addon was not built: ${reason}.`)
  console.warn(
    'castor: it will run all the same, on shared listening sockets: slower, and the kernel places connections.',
  )
  process.exit(0)
}

/** Where node_api.h and uv.h are: beside the running Node, or where the environment says. */
function headers() {
  const prefixes = [
    process.env.NODE_DIR,
    process.env.npm_config_nodedir,
    dirname(dirname(process.execPath)),
    '/usr',
    '/usr/local',
  ]
  for (const prefix of prefixes) {
    if (!prefix) continue
    const folder = join(prefix, 'include/node')
    if (existsSync(join(folder, 'node_api.h')) && existsSync(join(folder, 'uv.h'))) return folder
  }
  return undefined
}

if (process.platform !== 'linux') giveUp(`it is written for Linux, this is ${process.platform}`)
const include = headers()
if (include === undefined)
  giveUp('Node-API headers (include/node) were not found beside Node; set NODE_DIR to their prefix')

const compiler = process.env.CC ?? 'cc'
mkdirSync(dirname(output), { recursive: true })
const ready = spawnSync(compiler, ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-o', readyOutput, readySource], {
  stdio: ['ignore', 'inherit', 'inherit'],
})
if (ready.status !== 0) console.warn('castor: scripts/castor-ready will need curl to ask over a Unix socket.')
// Node's headers come with OpenSSL's, except where a distribution has split them; then the system's serve as well.
const withTls = [include, '/usr/include', '/usr/local/include'].some((folder) =>
  existsSync(join(folder, 'openssl/ssl.h')),
)
if (!withTls) console.warn("castor: OpenSSL's headers were not found: the addon is built without TLS.")
const files = readdirSync(sources)
  .filter((name) => name.endsWith('.c') && (withTls || !name.startsWith('tls')))
  .map((name) => join(sources, name))
const flags = [
  '-std=gnu11',
  ...(sanitize ? SANITIZERS : ['-O2']),
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Werror=implicit-function-declaration',
  // What this node does not export is looked for when it is called, and asked for first.
  '-Wl,-z,lazy',
  `-I${include}`,
  ...(withTls ? [] : ['-DCASTOR_WITHOUT_TLS']),
]
const done = spawnSync(compiler, [...flags, '-o', output, ...files], { stdio: ['ignore', 'inherit', 'inherit'] })
if (done.error) giveUp(`no C compiler (${compiler}: ${done.error.message}); on Debian: apt-get install gcc libc6-dev`)
if (done.status !== 0) giveUp(`${compiler} ended with status ${done.status}`)
