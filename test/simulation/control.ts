// npm run simulate:control: two hosts of a cluster with their control planes, threads and clients, in random courses of
// reloads, operators' changes, DNS answers, deaths of threads and hosts, slow messages, breaks of the store between them
// and steps of their clocks; what must always hold is checked after each step. Everything but the system around it is the
// product. A find prints its seed and the shortest course that shows it.
//   --seed N (the first)  --seeds N (how many, one after the other)  --steps N (of each)  --every N (steps from check to check)
import { parseArgs } from 'node:util'
import { seededRandom } from '../random.js'
import { Course } from './control/course.js'
import { shrink } from './control/shrink.js'
import { randomSteps, type Step } from './control/steps.js'

const SHRINK_MS = 60_000
/** Courses that are no longer are looked at after each step while they are shrunk. */
const SHORT_STEPS = 400

/** What came about in a course without a find. */
export interface Held {
  readonly tally: string
}

export interface Find {
  readonly message: string
  /** The shortest course that shows it. */
  readonly steps: readonly Step[]
}

/** `checkEvery` as of Course. */
export async function simulateControl(
  seed: number,
  count: number,
  shrinkMs = SHRINK_MS,
  checkEvery = 1,
): Promise<Find | Held> {
  const steps = randomSteps(seededRandom(seed), count)
  const found = await failure(steps, checkEvery)
  if ('tally' in found) return found
  const kind = kindOf(found.message)
  let { message } = found
  const failsAt = async (shorter: readonly Step[]): Promise<number | undefined> => {
    const outcome = await failure(shorter, shorter.length > SHORT_STEPS ? checkEvery : 1)
    if ('tally' in outcome || kindOf(outcome.message) !== kind) return undefined
    message = outcome.message
    return outcome.at
  }
  const until = steps.slice(0, found.at + 1)
  const shortest = await shrink(until, failsAt, (step) => step.kind, performance.now() + shrinkMs)
  return { message, steps: shortest }
}

type Failure = { readonly message: string; readonly at: number }

async function failure(steps: readonly Step[], checkEvery: number): Promise<Failure | Held> {
  const course = new Course(checkEvery)
  let at = 0
  try {
    await course.run(steps, (index) => {
      at = index
    })
    return { tally: course.tally }
  } catch (fault) {
    return { message: fault instanceof Error ? (fault.stack ?? fault.message) : String(fault), at }
  }
}

/** Whatever the numbers in it are. */
function kindOf(message: string | undefined): string | undefined {
  return message?.replace(/\n.*/s, '').replaceAll(/\d+/g, 'N')
}

export function describe(seed: number, { message, steps }: Find): string {
  const course = steps.map(({ kind, host, which, how }) => `  ${kind} ${host} ${which} ${how}`).join('\n')
  return `seed ${seed}: ${message}\nafter ${steps.length} steps:\n${course}`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      steps: { type: 'string', default: '10000' },
      every: { type: 'string', default: '1' },
    },
  })
  const first = Number(values.seed)
  for (let seed = first; seed < first + Number(values.seeds); seed++) {
    const startedMs = performance.now()
    const find = await simulateControl(seed, Number(values.steps), SHRINK_MS, Number(values.every))
    if ('steps' in find) {
      console.log(describe(seed, find))
      process.exitCode = 1
      return
    }
    console.log(
      `seed ${seed}: ${values.steps} steps, everything held (${find.tally}; ${Math.round(performance.now() - startedMs)} ms)`,
    )
  }
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].split('/').slice(-2).join('/')))
  await main()
