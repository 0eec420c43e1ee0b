import { parseArgs } from 'node:util'
import { seededRandom } from '../random.js'
import { escapeBytes } from './escapes.js'
import type { Finding, FuzzSubject } from './subject.js'
import { SUBJECTS } from './subjects.js'

const NAMES = Object.keys(SUBJECTS)
const USAGE = `npm run fuzz -- [--seconds N] [--seed N] [--subjects ${NAMES.join(',')}]
  --seconds   how long in all, default 60
  --seed      which inputs, default another each time; printed
  --subjects  what is fuzzed, in turn, each for the same time; default all`

const REPORT_MS = 10_000
const MOST_FINDINGS = 20

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    subjects: { type: 'string', default: NAMES.join(',') },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const wanted = values.subjects.split(',')
if (values.help || !(seconds > 0) || !Number.isInteger(seed) || wanted.some((name) => !NAMES.includes(name))) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(values.help ? 0 : 2)
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

interface Running {
  readonly subject: FuzzSubject
  inputs: number
  spentMs: number
}

let findings = 0

function show(name: string, { kind, input, faults, detail }: Finding): void {
  findings++
  say(`\nfound in ${name} (${kind}${detail === '' ? '' : `, ${detail}`}):`)
  for (const fault of faults) say(`  ${escapeBytes(fault)}`)
  say(`| ${escapeBytes(input)}`)
}

say(`seed ${seed}, ${seconds} s: ${wanted.join(', ')}`)
const running: Running[] = []
for (const name of wanted) {
  running.push({ subject: await SUBJECTS[name]!(seededRandom(seed)), inputs: 0, spentMs: 0 })
}

const begunMs = performance.now()
const report = (): void => {
  const counts = running.map(({ subject, inputs }) => `${subject.name} ${inputs}`).join(', ')
  say(`${((performance.now() - begunMs) / 1000).toFixed(0)} s: ${counts} inputs; found ${findings}`)
}
const reporting = setInterval(report, REPORT_MS)
while (performance.now() - begunMs < seconds * 1000 && findings < MOST_FINDINGS) {
  // Whichever had the least time so far.
  const next = running.reduce((least, each) => (each.spentMs < least.spentMs ? each : least))
  const roundMs = performance.now()
  next.inputs += await next.subject.round((finding) => show(next.subject.name, finding))
  next.spentMs += performance.now() - roundMs
}
clearInterval(reporting)
report()
for (const { subject } of running) {
  if (subject.remarks !== undefined) say(`${subject.name}: ${subject.remarks()}`)
  await subject.stop()
}
say(findings === 0 ? `nothing found (seed ${seed})` : `${findings} found (seed ${seed})`)
process.exit(findings === 0 ? 0 : 1)
