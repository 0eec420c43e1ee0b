import type { Command } from 'commander'
import { z } from 'zod'
import { CastorError } from '../core/errors.js'
import { type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption } from './env-file.js'
import { EXIT } from './exit-code.js'

/** `drain`, `undrain`, `weight`, `target add` and `target remove`: what the operator wants of one target. */
export function addTargetCommands(program: Command): void {
  door(
    program
      .command('drain')
      .summary('let a target finish what it has and give it nothing new')
      .description('Let a target finish what it has and give it nothing new.')
      .argument('<group>', GROUP)
      .argument('<target>', TARGET),
  ).action((group, target, options) => change(group, target, { state: 'draining' }, options))
  door(
    program
      .command('undrain')
      .summary('give a drained target traffic again')
      .description('Give a drained target traffic again; one that was being removed stays.')
      .argument('<group>', GROUP)
      .argument('<target>', TARGET),
  ).action((group, target, options) => change(group, target, { state: 'active' }, options))
  door(
    program
      .command('weight')
      .summary('change a target’s share of new traffic')
      .description('Change a target’s share of new traffic until the next start, or with --persist for good.')
      .argument('<group>', GROUP)
      .argument('<target>', TARGET)
      .argument('<weight>', '0 to 100; 0 takes no new traffic')
      .option('--persist', PERSIST),
  ).action((group, target, weight, { persist, ...options }) =>
    change(group, target, { weight: readWeight(weight), ...persisted(persist) }, options),
  )
  const targets = program
    .command('target')
    .summary('add a target to a group, or remove one')
    .description(
      'Adds targets to the running process and removes them, until the next start, or with --persist for good.',
    )
  door(
    targets
      .command('add')
      .summary('add a target to a group')
      .description(
        'Add a target to a group. Where the group has health checks, it gets traffic once it has passed one.',
      )
      .argument('<group>', GROUP)
      .argument('<address>', 'host:port or [IPv6]:port')
      .option('--weight <weight>', 'share of new traffic, 0 to 100 (default: 10)')
      .option('--id <id>', 'name of the target (default: its address)')
      .option('--persist', PERSIST),
  ).action((group, address, options) => add(group, address, options))
  door(
    targets
      .command('remove')
      .summary('let a target drain, then take it out')
      .description('Let a target drain for the time its group gives it, then take it out.')
      .argument('<group>', GROUP)
      .argument('<target>', TARGET)
      .option('--now', 'take it out at once and cut what is still with it')
      .option('--persist', PERSIST),
  ).action((group, target, options) => remove(group, target, options))
}

const GROUP = 'the target group'
const PERSIST = 'write it to the configuration file as well'
const TARGET = 'the target’s id, as castor status shows it'

/** The options by which each of these commands finds the running process. */
function door(command: Command): Command {
  return command
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
}

function readWeight(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text)
  throw new CastorError('USAGE', `${JSON.stringify(text)} is no weight; give a whole number from 0 to 100`)
}

const persisted = (persist: boolean | undefined): object => (persist === true ? { persist } : {})

interface AddOptions extends AdminClientOptions {
  readonly persist?: boolean
  readonly weight?: string
  readonly id?: string
}

interface RemoveOptions extends AdminClientOptions {
  readonly persist?: boolean
  readonly now?: boolean
}

function change(group: string, target: string, wanted: object, options: AdminClientOptions): Promise<void> {
  return ask(options, 'PATCH', targetPath(group, target), wanted, ({ state, weight }) => {
    return `${target} of ${group} is ${state}, weight ${weight}`
  })
}

function add(group: string, address: string, { weight, id, persist, ...options }: AddOptions): Promise<void> {
  const target = {
    address,
    ...(id === undefined ? {} : { id }),
    ...(weight === undefined ? {} : { weight: readWeight(weight) }),
    ...persisted(persist),
  }
  return ask(options, 'POST', targetsPath(group), target, (added) => {
    const waits = added.health === 'initial' ? '; it gets traffic once it has passed a health check' : ''
    return `${added.id} is in ${group}, weight ${added.weight}${waits}`
  })
}

function remove(group: string, target: string, { now, persist, ...options }: RemoveOptions): Promise<void> {
  const flags = [...(now === true ? ['now=true'] : []), ...(persist === true ? ['persist=true'] : [])]
  const path = `${targetPath(group, target)}${flags.length === 0 ? '' : `?${flags.join('&')}`}`
  return ask(options, 'DELETE', path, undefined, ({ leaves }) =>
    leaves === undefined
      ? `${target} is gone from ${group}`
      : `${target} of ${group} drains until ${leaves} at the latest`,
  )
}

const targetsPath = (group: string): string => `/api/v1/target-groups/${encodeURIComponent(group)}/targets`
const targetPath = (group: string, target: string): string => `${targetsPath(group)}/${encodeURIComponent(target)}`

/** Asks the running process, and prints what `say` makes of its answer, or on standard error why it did not do it. */
async function ask(
  options: AdminClientOptions,
  method: string,
  path: string,
  body: unknown,
  say: (answer: Done) => string,
): Promise<void> {
  process.exitCode = EXIT.failed
  try {
    const door = adminDoor(options)
    const { code, text } = await askAdmin(door, method, path, body)
    const answer = readAnswer(text)
    if (code >= 200 && code < 300 && answer !== undefined && 'id' in answer) {
      process.stdout.write(`${say(answer)}\n`)
      process.exitCode = EXIT.ok
      return
    }
    const refusal = code >= 400 && answer !== undefined && 'error' in answer ? answer.error.message : undefined
    process.stderr.write(`${refusal ?? `${door.name} answers ${code}, but not as a castor does`}\n`)
  } catch (error) {
    if (error instanceof CastorError && error.code === 'USAGE') throw error
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
}

const done = z.object({
  id: z.string(),
  state: z.string(),
  weight: z.number().optional(),
  health: z.string().optional(),
  leaves: z.string().optional(),
})
const refused = z.object({ error: z.object({ message: z.string() }) })
type Done = z.infer<typeof done>

/** Undefined for what no castor answers. */
function readAnswer(text: string): Done | z.infer<typeof refused> | undefined {
  try {
    return z.union([done, refused]).safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
