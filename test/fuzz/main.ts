import { parseArgs } from 'node:util'
import { seededRandom } from '../random.js'
import { escapeBytes } from './escapes.js'
import { type Finding, Fuzzer } from './fuzzer.js'
import type { NeighbourName } from './neighbours.js'

const USAGE = `npm run fuzz -- [--seconds N] [--seed N] [--targets llhttp,nginx,haproxy]
  --seconds  how long, default 60
  --seed     which inputs, default another each time; printed
  --targets  who must agree with Castor, default all that are installed; llhttp is always there`

const REPORT_MS = 10_000
const NEIGHBOURS: readonly NeighbourName[] = ['nginx', 'haproxy']

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    targets: { type: 'string', default: 'llhttp,nginx,haproxy' },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const targets = values.targets.split(',')
const unknown = targets.filter((name) => name !== 'llhttp' && !(NEIGHBOURS as readonly string[]).includes(name))
if (values.help || !(seconds > 0) || !Number.isInteger(seed) || unknown.length > 0) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(values.help ? 0 : 2)
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

function show({ kind, input, faults, detail }: Finding): void {
  say(`\nfound (${kind}${detail === '' ? '' : `, ${detail}`}):`)
  for (const fault of faults) say(`  ${escapeBytes(fault)}`)
  say(`| ${escapeBytes(input)}`)
}

const wanted = NEIGHBOURS.filter((name) => targets.includes(name))
const fuzzer = await Fuzzer.start(seededRandom(seed), wanted)
say(`seed ${seed}, ${seconds} s, against ${['llhttp', 'node:http', 'undici', ...fuzzer.neighbours].join(', ')}`)
for (const name of wanted) if (!fuzzer.neighbours.includes(name)) say(`${name} is not installed and is left out`)

const begunMs = performance.now()
const elapsed = (): number => (performance.now() - begunMs) / 1000
const report = (): void => {
  const { requests, responses, frames, realRequests, realResponses, accepted, found } = fuzzer.counts
  const perSecond = (count: number): string => `${count} (${Math.round(count / elapsed())}/s)`
  say(
    `${elapsed().toFixed(0)} s: requests in memory ${perSecond(requests)}, ${Math.round((accepted / requests) * 100)} % accepted; ` +
      `responses in memory ${perSecond(responses)}; HTTP/2 frames ${perSecond(frames)}; requests through servers ${perSecond(realRequests)}; ` +
      `responses to clients ${perSecond(realResponses)}; found ${found}`,
  )
}
const reporting = setInterval(report, REPORT_MS)
const findings = await fuzzer.run(seconds * 1000, show)
clearInterval(reporting)
report()
await fuzzer.stop()
say(findings === 0 ? `nothing found (seed ${seed})` : `${findings} found (seed ${seed})`)
process.exit(findings === 0 ? 0 : 1)
