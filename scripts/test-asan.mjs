// npm run test:asan: the suites and the fuzzing that load the addon, with an addon built with AddressSanitizer and
// UndefinedBehaviorSanitizer. Whatever these find ends the process, and so fails its test. Files, folders or parts of names
// are run instead of those below; --seconds N is how long to fuzz, 30 by default, 0 not at all.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = 'dist-asan'
const SUITES = [
  'test/contract',
  'test/unit/native',
  'test/unit/net',
  'test/integration/tls-',
  'test/integration/tcp-',
  'test/integration/http2-tls',
  'test/integration/http1-backpressure',
  'test/integration/descriptor-limit',
  'test/integration/shared-listen',
]
const SUBJECTS = 'tls,http,h2-targets'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '30' }, jobs: { type: 'string', default: '2' } },
})

function run(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
  return status ?? 1
}

/** The compiler's own copy of a runtime library; it must be loaded before all else. */
function runtime(name) {
  const { stdout } = spawnSync(process.env.CC ?? 'cc', [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  if (path.startsWith('/') && existsSync(path)) return path
  console.error(`${name} is not there: the compiler has no sanitizers (on Debian they come with gcc)`)
  process.exit(1)
}

if (run(['scripts/build.mjs', '--if-needed']) !== 0) process.exit(1)
rmSync(join(root, FOLDER), { recursive: true, force: true })
for (const part of ['src', 'workers', 'test', 'dashboard']) {
  const from = join(root, 'dist', part)
  if (existsSync(from)) cpSync(from, join(root, FOLDER, part), { recursive: true })
}
if (run(['scripts/build-native.mjs', '--sanitize']) !== 0 || !existsSync(join(root, FOLDER, 'native/castor.node'))) {
  process.exit(1)
}

const env = {
  LD_PRELOAD: [runtime('libasan.so'), runtime('libubsan.so')].join(':'),
  // V8 leaves what a process ends with to the system; what the addon owns is counted by the suites themselves.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
}
const suites = positionals.length > 0 ? positionals : SUITES
const tests = run(['scripts/test.mjs', '--no-build', `--from=${FOLDER}`, `--jobs=${values.jobs}`, ...suites], env)
const fuzz = ['--seconds', values.seconds, '--subjects', SUBJECTS]
const fuzzing = Number(values.seconds) > 0 ? run([join(FOLDER, 'test/fuzz/main.js'), ...fuzz], env) : 0
process.exit(tests || fuzzing)
