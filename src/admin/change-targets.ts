import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { canonicalTarget, formatAddress } from '../config/addresses.js'
import { describe, validateTarget } from '../config/validate.js'
import { wallTime } from '../core/clock.js'
import type { TargetConfig } from '../core/config.js'
import type { ListedTarget } from '../core/directory.js'
import { ADMIN_STATES, CHECK_STATES } from '../core/target-state.js'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'
import { queryOf } from './query.js'
import { readJson } from './read-json.js'

const change = z
  .strictObject({ weight: z.int().min(0).max(100).optional(), state: z.enum(ADMIN_STATES).optional() })
  .refine((given) => given.weight !== undefined || given.state !== undefined, 'give weight, state or both')

const NO_JSON = 'the body is no JSON, or too long'

/** A request for targets, as the routes hand it over: `group` and `id` are names from the path. */
export interface TargetRequest {
  readonly facts: AdminFacts
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly group: string
}

/** `PATCH /api/v1/target-groups/GROUP/targets/ID` with `weight`, `state` or both; answers with what holds now. */
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
  const { weight, state } = wanted.data
  if (weight !== undefined) facts.setTargetWeight(slot, weight)
  if (state !== undefined) facts.setTargetState(slot, state)
  facts.log.info({ targetGroup: group, target: id, ...wanted.data }, 'the operator changed a target')
  sendJson(request, response, 200, { id, weight: facts.table.weight(slot), state: stateOf(facts, slot) })
}

/** `POST /api/v1/target-groups/GROUP/targets` with `address`, and `id` and `weight` where they are not the default. */
export async function postTarget({ facts, request, response, group }: TargetRequest): Promise<void> {
  const groupSlot = facts.directory.groups.indexOf(group)
  if (groupSlot < 0) {
    sendUnknownGroup(facts, request, response, group)
    return
  }
  if (hasParameters(request, response)) return
  const given = await readJson(request)
  const target = given === undefined ? { problems: [NO_JSON] } : validateTarget(given)
  if ('problems' in target) {
    sendError(request, response, 400, 'BAD_TARGET', target.problems.join('; '))
    return
  }
  const { id, weight } = target
  switch (await facts.addTarget(groupSlot, target)) {
    case 'exists':
      sendError(request, response, 409, 'TARGET_EXISTS', whyExists(facts, groupSlot, group, target))
      return
    case 'full':
      sendError(
        request,
        response,
        507,
        'NO_ROOM',
        `all ${facts.columns.capacity.targets} places for targets are taken, or not free again yet; raise reserve.targets and restart`,
      )
      return
    case 'added': {
      const { slot, host, port } = facts.targets.find((other) => other.group === groupSlot && other.id === id)!
      const address = formatAddress(host, port)
      facts.log.info({ targetGroup: group, target: id, address, weight }, 'the operator added a target')
      response.setHeader('Location', targetPath(group, id))
      const health = CHECK_STATES[facts.table.check(slot)]
      sendJson(request, response, 201, { id, address, weight, state: stateOf(facts, slot), health })
    }
  }
}

/** `DELETE /api/v1/target-groups/GROUP/targets/ID`: 202 while it drains, 200 when it is gone, at once with `?now=true`. */
export function deleteTarget(asked: TargetRequest, id: string): void {
  const { facts, request, response, group } = asked
  const target = findTarget(asked, id)
  if (target === undefined) return
  const query = queryOf(request, ['now'])
  const now = query.ok ? (query.values.get('now') ?? 'false') : ''
  if (!query.ok || (now !== 'true' && now !== 'false')) {
    const problem = query.ok ? `now: must be true or false, not ${JSON.stringify(now)}` : query.problem
    sendError(request, response, 400, 'BAD_PARAMETER', problem)
    return
  }
  const leaves = new Date(wallTime(facts.removeTarget(target.slot, now === 'true'), facts.clock)).toISOString()
  facts.log.info({ targetGroup: group, target: id, now: now === 'true', leaves }, 'the operator removed a target')
  if (now === 'true') sendJson(request, response, 200, { id, state: 'removed' })
  else sendJson(request, response, 202, { id, state: 'draining', leaves })
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
  const target = known.find((candidate) => candidate.id === id)
  if (target === undefined) {
    const instead = known.length === 0 ? 'it has none' : `there are: ${known.map((other) => other.id).join(', ')}`
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)}; ${instead}`)
  }
  return target
}

/** Whether it asks for something behind a `?`, which a change takes nothing from: that has been said then. */
function hasParameters(request: IncomingMessage, response: ServerResponse): boolean {
  const query = queryOf(request, [])
  if (query.ok) return false
  sendError(request, response, 400, 'BAD_PARAMETER', query.problem)
  return true
}

function isThere(facts: AdminFacts, { slot, generation }: ListedTarget): boolean {
  return facts.targets.some((other) => other.slot === slot && other.generation === generation)
}

function whyExists(facts: AdminFacts, groupSlot: number, group: string, { id, host, port }: TargetConfig): string {
  const others = facts.targets.filter((other) => other.group === groupSlot)
  const there = others.find((other) => other.id === id)
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
