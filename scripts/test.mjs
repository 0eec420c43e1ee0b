// npm test: builds what is out of date, gets the programs that tests use, runs the test files side by side, and ends with
// the line "N passed, N failed". Arguments are files, folders (test/unit/http) or parts of their names.
//   --no-build   run what is compiled already
//   --from=NAME  from another folder than dist/, which somebody else has filled
//   --jobs=N     so many files at once; twice as many as the machine has cores if not given, since a file waits for
//                a good part of its time
//   --verbose    print each file's standard error also when it passes
// Files called *.alone.test.ts measure time or memory: they run after the others, two at once, since they wait most of the
// time. A file that fails beside others is run again by itself, and that verdict counts; it is named at the end all the
// same, since a test that is not steady under load is a bug in it or in what it tests.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installTools } from './install-tools.mjs'
import { atSources } from './source-positions.mjs'
import { readTap } from './tap-results.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const stateHome = mkdtempSync(join(tmpdir(), 'castor-tests-'))
const timesFile = join(root, 'dist/.test-times.json')
const CI = process.env.CI === 'true'
/** A test that hangs is ended by tap, which says what was still open; a file that does not even do that is killed. */
const TEST_TIMEOUT_S = 120
const FILE_TIMEOUT_MS = 240_000

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string', default: 'dist' },
    'no-build': { type: 'boolean' },
    jobs: { type: 'string' },
    verbose: { type: 'boolean' },
  },
})
/** What takes long and seldom tells anything new is run by `npm run test:long`, or when it is named. */
const LONG = [
  'test/integration/tls-testssl.test.ts',
  'test/integration/mesh-speed.alone.test.ts',
  'test/integration/reload-big.alone.test.ts',
  'test/integration/grpc-go.test.ts',
  'test/unit/config/rule-warnings-cost.alone.test.ts',
  'test/unit/shm/sessions-speed.alone.test.ts',
]
/** Begun first where it is not known how long files take: one that begins last is waited for. */
const SLOW = [
  'test/pair/failover.alone.test.ts',
  'test/integration/http2-memory.alone.test.ts',
  'test/browser/dashboard.test.ts',
  'test/integration/watchdog.test.ts',
  'test/integration/upgrade-failures.test.ts',
  'test/integration/stop-stuck.test.ts',
  'test/integration/reload-replaced.test.ts',
  'test/unit/cli/keepalived.test.ts',
  'test/unit/cli/usage.test.ts',
  'test/unit/config/hostile-files.test.ts',
  'test/unit/control/simulation.test.ts',
]
const USUAL_MS = 10_000

const isAlone = (file) => file.endsWith('.alone.test.ts')
const total = { passed: 0, failed: 0, skipped: 0 }
const running = new Set()
process.on('exit', () => rmSync(stateHome, { recursive: true, force: true }))

function finish() {
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
  process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1)
}

function build() {
  const done = spawnSync(process.execPath, ['scripts/build.mjs', '--if-needed'], { cwd: root, stdio: 'inherit' })
  if (done.status === 0) return
  console.log('FAIL  the build')
  total.failed++
  finish()
}

/** Found by their sources, so that what dist/ still has of files that are gone is not run. */
function testFiles() {
  const wanted = positionals.map((name) =>
    relative(root, resolve(name))
      .replace(/^dist\//, '')
      .replace(/\.js$/, '.ts'),
  )
  const isWanted = (file) => (wanted.length === 0 ? !LONG.includes(file) : wanted.some((name) => file.includes(name)))
  return readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => file.endsWith('.test.ts') && isWanted(file))
    .sort()
}

/** How long files took last time, in milliseconds: the longest begin first. */
function readTimes() {
  try {
    return JSON.parse(readFileSync(timesFile, 'utf8'))
  } catch {
    return {}
  }
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {}
}

/** Runs one file in a process group of its own, so that nothing it started outlives it. */
async function runFile(file) {
  const compiled = join(root, options.from, file.replace(/\.ts$/, '.js'))
  if (!existsSync(compiled)) return { results: [], remarks: [], problem: 'it is not compiled', stderr: '', ms: 0 }
  const begunMs = performance.now()
  const env = {
    ...process.env,
    // What a test starts by the name `node` is the same Node that runs the tests.
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    TAP: '1',
    TAP_TIMEOUT: String(TEST_TIMEOUT_S),
    // Balancers under test keep their secrets here rather than with the user's.
    XDG_STATE_HOME: stateHome,
    // A file that is killed cannot clean up: what it left goes with the run.
    TMPDIR: stateHome,
    STATE_DIRECTORY: '',
  }
  const stdio = ['ignore', 'pipe', 'pipe']
  const child = spawn(process.execPath, [compiled], { cwd: root, env, stdio, detached: true })
  running.add(child)
  let timedOut = false
  const deadline = setTimeout(() => {
    timedOut = true
    killGroup(child)
  }, FILE_TIMEOUT_MS)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const exited = new Promise((done) => child.on('exit', (code, signal) => done({ code, signal })))
  const tap = readTap(child.stdout)
  const { code, signal } = await exited
  clearTimeout(deadline)
  killGroup(child)
  const { results, remarks, problems } = await tap
  running.delete(child)
  if (timedOut) problems.push(`it took longer than ${FILE_TIMEOUT_MS / 1000} s and was killed`)
  else if (signal !== null) problems.push(`it was ended by ${signal}`)
  else if (code !== 0 && results.every(({ ok }) => ok)) problems.push(`it ended with exit code ${code}`)
  return { results, remarks, problem: problems.join('; '), stderr, ms: performance.now() - begunMs }
}

const indented = (text, by) => text.trimEnd().replaceAll(/^/gm, ' '.repeat(by))

/** What tap knows of a failed assertion, most telling first. */
function describe({ fullname, diag }) {
  const lines = [indented(fullname || 'an assertion without a name', 6)]
  if (diag === null || diag === undefined) return lines.join('\n')
  const { at, stack, source: _, diff, found, wanted, ...more } = diag
  if (at?.fileName) {
    const path = at.fileName.replace(/^file:\/\//, '')
    lines.push(indented(`at ${relative(root, resolve(root, path))}:${at.lineNumber}:${at.columnNumber}`, 8))
  }
  if (diff) lines.push(indented(diff, 8))
  else {
    if (found !== undefined) lines.push(indented(`found:  ${JSON.stringify(found)}`, 8))
    if (wanted !== undefined) lines.push(indented(`wanted: ${JSON.stringify(wanted)}`, 8))
  }
  for (const [key, value] of Object.entries(more)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (key !== 'compare') lines.push(indented(`${key}: ${text}`, 8))
  }
  if (stack) lines.push(indented(stack.split('\n').slice(0, 8).join('\n'), 8))
  return lines.join('\n')
}

/** Prints the outcome; `counts`: a failure is the verdict, not a reason to run the file again. */
function report(file, { results, remarks, problem, stderr, ms }, counts) {
  const isSkipped = (result) => result.skip !== false || result.todo !== false
  // CI must not pass by leaving out what it had no program or no addon for.
  const isUnwelcome = (result) => CI && /not (installed|built)/.test(String(result.skip))
  const failed = results.filter((result) => (isSkipped(result) ? isUnwelcome(result) : !result.ok))
  const skipped = results.filter((result) => isSkipped(result) && !isUnwelcome(result))
  const passed = results.length - failed.length - skipped.length
  const bad = failed.length > 0 || problem !== ''
  if (!bad || counts) {
    total.passed += passed
    total.skipped += skipped.length
    total.failed += failed.length + (problem === '' ? 0 : 1)
  }
  const verdict = bad ? (counts ? 'FAIL' : 'SHAKY') : 'ok'
  const found = `${passed} passed${failed.length > 0 ? `, ${failed.length} failed` : ''}`
  console.log(`${verdict.padEnd(5)} ${file}  ${found}, ${(ms / 1000).toFixed(1)} s`)
  for (const { fullname, skip, todo } of skipped) {
    const reason = skip || todo
    console.log(`      skipped: ${fullname}${reason === true ? '' : ` (${reason})`}`)
  }
  // What those that measure have to tell is what they are for.
  if (isAlone(file) || bad || options.verbose) for (const remark of remarks) console.log(indented(remark, 6))
  if (problem !== '') console.log(`      ${problem}`)
  for (const result of failed) console.log(atSources(describe(result)))
  if (stderr !== '' && (bad || options.verbose)) {
    console.log(`      standard error:\n${indented(atSources(stderr.split('\n').slice(-60).join('\n')), 8)}`)
  }
  return !bad
}

/** Runs the files, `jobs` at a time; returns those that failed. With `counts` that is their verdict. */
async function runFiles(files, jobs, times, counts) {
  const bad = []
  const waiting = [...files]
  const runOneByOne = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const outcome = await runFile(file)
      times[file] = Math.round(outcome.ms)
      if (!report(file, outcome, counts)) bad.push(file)
    }
  }
  await Promise.all(Array.from({ length: jobs }, runOneByOne))
  return bad
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) killGroup(child)
    process.exit(1)
  })
}

if (!options['no-build']) build()
installTools()
const files = testFiles()
if (files.length === 0) console.log(`no test file matches ${positionals.join(' ')}`)
const times = readTimes()
const guess = (file) => times[file] ?? (SLOW.includes(file) ? Number.POSITIVE_INFINITY : USUAL_MS)
const longestFirst = (a, b) => guess(b) - guess(a) || 0
const together = files.filter((file) => !isAlone(file)).sort(longestFirst)
const begunMs = performance.now()
const jobs = Number(options.jobs ?? availableParallelism() * 2)
const shaky = await runFiles(together, jobs, times, false)
shaky.push(...(await runFiles(files.filter(isAlone).sort(longestFirst), Math.min(jobs, 2), times, false)))
const bad = await runFiles(shaky, 1, times, true)
const recovered = shaky.filter((file) => !bad.includes(file))
writeFileSync(timesFile, `${JSON.stringify(times, null, 2)}\n`)
const listed = (names) => names.map((file) => `  ${file}`).join('\n')
if (recovered.length > 0) console.log(`\nnot steady (failed beside others, passed alone):\n${listed(recovered)}`)
if (bad.length > 0) console.log(`\nfailed:\n${listed(bad)}`)
console.log(`\nNode ${process.version}, ${files.length} files, ${((performance.now() - begunMs) / 1000).toFixed(0)} s`)
finish()
