import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { canonicalTarget, formatAddress } from '../config/addresses.js'
import { isFields } from '../config/tree.js'
import { describe, validateTarget } from '../config/validate.js'
import type { TargetEdit } from '../config/write-back.js'
import { wallTime } from '../core/clock.js'
import type { TargetConfig } from '../core/config.js'
import type { ListedTarget } from '../core/directory.js'
import { ADMIN_STATES, CHECK_STATES } from '../core/target-state.js'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'
import { hasParameters, queryOf } from './query.js'
import { readJson } from './read-json.js'
import type { PersistOutcome } from './reload-control.js'

const change = z
  .strictObject({
    weight: z.int().min(0).max(100).optional(),
    state: z.enum(ADMIN_STATES).optional(),
    persist: z.boolean().optional(),
  })
  .refine((given) => given.weight !== undefined || given.state !== undefined, 'give weight, state or both')
  .refine(
    (given) => given.persist !== true || given.weight !== undefined,
    'persist: the file has no place for a state; give a weight, or leave persist out',
  )

const NO_JSON = 'the body is no JSON, or too long'

/** A request for targets, as the routes hand it over: `group` and `id` are names from the path. */
export interface TargetRequest {
  readonly facts: AdminFacts
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly group: string
}

/**
 * `PATCH /api/v1/target-groups/GROUP/targets/ID` with `weight`, `state` or both; answers with what holds now. With
 * `persist: true` the weight is written to the configuration file as well.
 */
export async function patchTarget(asked: TargetRequest, id: string): Promise<void> {
  const { facts, request, response, group } = asked
  const target = findTarget(asked, id)
  if (target === undefined || hasParameters(request, response)) return
  const given = await readJson(request)
  const wanted = change.safeParse(given, { error: (issue) => describe(issue) })
  if (!wanted.success) {
    const problems =
      given === undefined ? [NO_JSON] : wanted.error.issues.map(({ path, message }) => [...path, message].join(': '))
    sendError(request, response, 400, 'BAD_CHANGE', problems.join('; '))
    return
  }
  // It may have gone while the body came.
  if (!isThere(facts, target)) {
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)} any more`)
    return
  }
  const { slot } = target
  const { weight, state, persist } = wanted.data
  const apply = async (): Promise<true | undefined> => {
    if (!isThere(facts, target)) return undefined
    if (weight !== undefined) facts.setTargetWeight(slot, weight)
    if (state !== undefined) facts.setTargetState(slot, state)
    facts.log.info({ targetGroup: group, target: id, ...wanted.data }, 'the operator changed a target')
    return true
  }
  const edit = persist === true && weight !== undefined ? ({ type: 'weight', group, id, weight } as const) : undefined
  const done = await carryOut(asked, edit, apply)
  if (done === 'answered') return
  if (done === undefined) {
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)} any more`)
    return
  }
  sendJson(request, response, 200, { id, weight: facts.table.weight(slot), state: stateOf(facts, slot) })
}

/**
 * `POST /api/v1/target-groups/GROUP/targets` with `address`, and `id` and `weight` where they are not the default; with
 * `persist: true` it is written to the configuration file as well.
 */
export async function postTarget(asked: TargetRequest): Promise<void> {
  const { facts, request, response, group } = asked
  if (!facts.directory.groups.includes(group)) {
    sendUnknownGroup(facts, request, response, group)
    return
  }
  if (hasParameters(request, response)) return
  const given = await readJson(request)
  const { persist, body } = withoutPersist(given)
  const target = given === undefined ? { problems: [NO_JSON] } : validateTarget(body)
  if ('problems' in target || typeof persist !== 'boolean') {
    const problems = [
      ...('problems' in target ? target.problems : []),
      ...(typeof persist === 'boolean' ? [] : ['persist: must be true or false']),
    ]
    sendError(request, response, 400, 'BAD_TARGET', problems.join('; '))
    return
  }
  let groupSlot = -1
  let refused: 'exists' | 'no-group' | undefined
  const apply = async (): Promise<true | undefined> => {
    // As of now: a reload may have changed the groups since the request began.
    groupSlot = facts.directory.groups.indexOf(group)
    const outcome = groupSlot < 0 ? 'no-group' : await facts.addTarget(groupSlot, target)
    if (outcome === 'added') return true
    refused = outcome
    return undefined
  }
  const edit = persist ? ({ type: 'add', group, target } as const) : undefined
  if ((await carryOut(asked, edit, apply)) === 'answered') return
  switch (refused) {
    case 'exists':
      sendError(request, response, 409, 'TARGET_EXISTS', whyExists(facts, groupSlot, group, target))
      return
    case 'no-group':
      sendUnknownGroup(facts, request, response, group)
      return
    case undefined: {
      const { id, weight } = target
      const { slot, host, port } = facts.targets.findLast((other) => other.group === groupSlot && other.id === id)!
      const address = formatAddress(host, port)
      facts.log.info({ targetGroup: group, target: id, address, weight }, 'the operator added a target')
      response.setHeader('Location', targetPath(group, id))
      const health = CHECK_STATES[facts.table.check(slot)]
      sendJson(request, response, 201, { id, address, weight, state: stateOf(facts, slot), health })
    }
  }
}

/**
 * `DELETE /api/v1/target-groups/GROUP/targets/ID`: 202 while it drains, 200 when it is gone, at once with `?now=true`;
 * with `persist=true` it is taken out of the configuration file as well.
 */
export async function deleteTarget(asked: TargetRequest, id: string): Promise<void> {
  const { facts, request, response, group } = asked
  const target = findTarget(asked, id)
  if (target === undefined) return
  const query = queryOf(request, ['now', 'persist'])
  const flags = query.ok ? ['now', 'persist'].map((name) => [name, query.values.get(name) ?? 'false'] as const) : []
  const wrong = flags.find(([, value]) => value !== 'true' && value !== 'false')
  if (!query.ok || wrong !== undefined) {
    const problem = query.ok ? `${wrong![0]}: must be true or false, not ${JSON.stringify(wrong![1])}` : query.problem
    sendError(request, response, 400, 'BAD_PARAMETER', problem)
    return
  }
  const [now, persist] = flags.map(([, value]) => value === 'true')
  const apply = async (): Promise<number | undefined> =>
    isThere(facts, target) ? facts.removeTarget(target.slot, now!) : undefined
  const done = await carryOut(asked, persist ? { type: 'remove', group, id } : undefined, apply)
  if (done === 'answered') return
  if (done === undefined) {
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)} any more`)
    return
  }
  const leaves = new Date(wallTime(done, facts.clock)).toISOString()
  facts.log.info({ targetGroup: group, target: id, now, leaves }, 'the operator removed a target')
  if (now) sendJson(request, response, 200, { id, state: 'removed' })
  else sendJson(request, response, 202, { id, state: 'draining', leaves })
}

/**
 * Carries out a change, and writes it to the file where there is an `edit`. Gives what `apply` gives; `answered` where the
 * file was not written, and that has been said.
 */
async function carryOut<T>(
  { facts, request, response }: TargetRequest,
  edit: TargetEdit | undefined,
  apply: () => Promise<T | undefined>,
): Promise<T | undefined | 'answered'> {
  if (edit === undefined) return apply()
  const outcome: PersistOutcome<T | undefined> = await facts.reloading.persist(edit, apply)
  switch (outcome.result) {
    case 'done':
      return outcome.value
    case 'refused':
      sendError(request, response, 409, 'NOT_PERSISTED', outcome.message)
      return 'answered'
    case 'not-written':
      sendError(request, response, 500, 'NOT_WRITTEN', outcome.message)
      return 'answered'
  }
}

function withoutPersist(given: unknown): { persist: unknown; body: unknown } {
  if (!isFields(given) || !('persist' in given)) return { persist: false, body: given }
  const { persist, ...body } = given
  return { persist, body }
}

export function sendUnknownGroup(
  { directory }: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  group: string,
): void {
  const instead = `there are: ${directory.groups.filter((name) => name !== undefined).join(', ')}`
  const message = `there is no target group ${JSON.stringify(group)}; ${instead}`
  sendError(request, response, 404, 'UNKNOWN_TARGET_GROUP', message)
}

/** The target that is asked for; where there is none, that has been said. */
function findTarget({ facts, request, response, group }: TargetRequest, id: string): ListedTarget | undefined {
  const groupSlot = facts.directory.groups.indexOf(group)
  if (groupSlot < 0) {
    sendUnknownGroup(facts, request, response, group)
    return undefined
  }
  const known = facts.targets.filter((target) => target.group === groupSlot)
  const target = known.findLast((candidate) => candidate.id === id)
  if (target === undefined) {
    const instead = known.length === 0 ? 'it has none' : `there are: ${known.map((other) => other.id).join(', ')}`
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)}; ${instead}`)
  }
  return target
}

function isThere(facts: AdminFacts, { slot, generation }: ListedTarget): boolean {
  return facts.targets.some((other) => other.slot === slot && other.generation === generation)
}

function whyExists(facts: AdminFacts, groupSlot: number, group: string, { id, host, port }: TargetConfig): string {
  const others = facts.targets.filter((other) => other.group === groupSlot)
  const there = others.findLast((other) => other.id === id)
  if (there === undefined) {
    const server = canonicalTarget(host, port)
    const same = others.find((other) => canonicalTarget(other.host, other.port) === server)
    const name = same === undefined ? 'another id' : `the id ${JSON.stringify(same.id)}`
    return `${group} has that server already, under ${name}; change its weight instead`
  }
  if (there.leavesMs === undefined) return `${group} has a target ${JSON.stringify(id)} already`
  const leaves = new Date(wallTime(there.leavesMs, facts.clock)).toISOString()
  return `${group} still has a target ${JSON.stringify(id)}, which leaves at ${leaves}; set its state to active to keep it, or delete it with ?now=true`
}

function stateOf({ table }: AdminFacts, slot: number): string {
  return ADMIN_STATES[table.admin(slot)] ?? 'active'
}

function targetPath(group: string, id: string): string {
  return `/api/v1/target-groups/${encodeURIComponent(group)}/targets/${encodeURIComponent(id)}`
}
