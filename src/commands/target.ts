import type { Command } from 'commander'
import { z } from 'zod'
import { CastorError } from '../core/errors.js'
import { adminDoor, askAdmin, DEFAULT_ADMIN, type DoorOptions } from './admin-door.js'
import { EXIT, type ExitCode } from './exit-code.js'

/** `drain`, `undrain` and `weight`: what the operator wants of one target. */
export function addTargetCommands(program: Command): void {
  add(program, 'drain', 'let a target finish what it has and give it nothing new').action((group, target, options) =>
    change(group, target, { state: 'draining' }, options),
  )
  add(program, 'undrain', 'give a drained target traffic again').action((group, target, options) =>
    change(group, target, { state: 'active' }, options),
  )
  add(program, 'weight', 'change a target’s share of new traffic until the next start')
    .argument('<weight>', '0 to 100; 0 takes no new traffic')
    .action((group, target, weight, options) => change(group, target, { weight: readWeight(weight) }, options))
}

function add(program: Command, name: string, summary: string): Command {
  return program
    .command(name)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .argument('<group>', 'the target group')
    .argument('<target>', 'the target’s id, as castor status shows it')
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
}

function readWeight(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text)
  throw new CastorError('USAGE', `${JSON.stringify(text)} is no weight; give a whole number from 0 to 100`)
}

async function change(group: string, target: string, wanted: object, options: DoorOptions): Promise<void> {
  process.exitCode = await patch(group, target, wanted, options)
}

async function patch(group: string, target: string, wanted: object, options: DoorOptions): Promise<ExitCode> {
  const path = `/api/v1/target-groups/${encodeURIComponent(group)}/targets/${encodeURIComponent(target)}`
  try {
    const door = adminDoor(options)
    const { code, text } = await askAdmin(door, 'PATCH', path, wanted)
    const answer = readAnswer(text)
    if (code === 200 && answer !== undefined && 'state' in answer) {
      process.stdout.write(`${target} of ${group} is ${answer.state}, weight ${answer.weight}\n`)
      return EXIT.ok
    }
    const refusal = code !== 200 && answer !== undefined && 'error' in answer ? answer.error.message : undefined
    process.stderr.write(`${refusal ?? `${door.origin} answers ${code}, but not as a castor does`}\n`)
  } catch (error) {
    if (error instanceof CastorError && error.code === 'USAGE') throw error
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
  return EXIT.failed
}

const changeAnswer = z.union([
  z.object({ state: z.string(), weight: z.number() }),
  z.object({ error: z.object({ message: z.string() }) }),
])

/** Undefined for what no castor answers. */
function readAnswer(text: string): z.infer<typeof changeAnswer> | undefined {
  try {
    return changeAnswer.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
