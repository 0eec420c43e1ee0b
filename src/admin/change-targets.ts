import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { canonicalTarget, formatAddress } from '../config/addresses.js'
import { resolveTarget } from '../config/resolve.js'
import { target as targetSchema } from '../config/schema.js'
import type { TargetEdit } from '../config/write-back.js'
import { wallTime } from '../core/clock.js'
import type { TargetConfig } from '../core/config.js'
import type { ListedTarget } from '../core/directory.js'
import { ADMIN_STATES, CHECK_STATES } from '../core/target-state.js'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'
import type { PersistOutcome } from './reload-control.js'
import { route } from './route.js'
import { time } from './status-schema.js'
import { findTarget, sendUnknownGroup } from './unknown-target.js'

const ofGroup = z.strictObject({ group: z.string().describe('Name of the target group.') })
const ofTarget = ofGroup.extend({ id: z.string().describe('Id of the target: its address where it was given none.') })
const persist = z.boolean().optional().describe('Write it to the configuration file as well.')
const nothing = z.strictObject({})
const weight = z.int().min(0).max(100)
const state = z.enum(ADMIN_STATES)

const change = z
  .strictObject({
    weight: weight.optional().describe('Share of new traffic beside the other targets.'),
    state: state.optional(),
    persist,
  })
  .refine((given) => given.weight !== undefined || given.state !== undefined, 'give weight, state or both')
  .refine(
    (given) => given.persist !== true || given.weight !== undefined,
    'persist: the file has no place for a state; give a weight, or leave persist out',
  )

/** Answers with what holds now. With `persist: true` the weight is written to the configuration file as well. */
export const changeTarget = route({
  method: 'PATCH',
  path: '/api/v1/target-groups/{group}/targets/{id}',
  id: 'changeTarget',
  summary: 'Change weight or state of a target',
  params: ofTarget,
  query: nothing,
  body: { schema: change, code: 'BAD_CHANGE' },
  answers: { 200: { says: 'It holds, on every thread.', schema: z.strictObject({ id: z.string(), weight, state }) } },
  errors: ['UNKNOWN_TARGET_GROUP', 'UNKNOWN_TARGET', 'NOT_PERSISTED', 'NOT_WRITTEN'],
  async handle({ facts, request, response, params, body, note }) {
    const { group, id } = params
    const target = findTarget(facts, request, response, params)
    if (target === undefined) return
    const { slot } = target
    const { weight, state } = body
    const apply = async (): Promise<true | undefined> => {
      if (!isThere(facts, target)) return undefined
      const before = { weight: facts.table.weight(slot), state: stateOf(facts, slot) }
      if (weight !== undefined) facts.setTargetWeight(slot, weight)
      if (state !== undefined) facts.setTargetState(slot, state)
      facts.log.info({ targetGroup: group, target: id, ...body }, 'the operator changed a target')
      Object.assign(note, changed(before, { weight: facts.table.weight(slot), state: stateOf(facts, slot) }))
      return true
    }
    const isForFile = body.persist === true && weight !== undefined
    const edit = isForFile ? ({ type: 'weight', group, id, weight } as const) : undefined
    const done = await carryOut(facts, request, response, edit, apply)
    if (done === 'answered') return
    if (done === undefined) {
      sendError(request, response, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)} any more`)
      return
    }
    sendJson(request, response, 200, { id, weight: facts.table.weight(slot), state: stateOf(facts, slot) })
  },
})

/** Held to the rules of the file. With `persist: true` it is written there as well. */
export const addTarget = route({
  method: 'POST',
  path: '/api/v1/target-groups/{group}/targets',
  id: 'addTarget',
  summary: 'Add a target',
  params: ofGroup,
  query: nothing,
  body: { schema: targetSchema.extend({ persist }), code: 'BAD_TARGET' },
  answers: {
    201: {
      says: 'It is there.',
      schema: z.strictObject({ id: z.string(), address: z.string(), weight, state, health: z.enum(CHECK_STATES) }),
    },
  },
  errors: ['UNKNOWN_TARGET_GROUP', 'TARGET_EXISTS', 'NOT_PERSISTED', 'NOT_WRITTEN'],
  async handle({ facts, request, response, params: { group }, body, note }) {
    const { persist: isForFile = false, ...written } = body
    const target = resolveTarget(written)
    let groupSlot = -1
    let refused: 'exists' | 'no-group' | undefined
    const apply = async (): Promise<true | undefined> => {
      // As of now: a reload may have changed the groups since the request began.
      groupSlot = facts.directory.groups.indexOf(group)
      const outcome = groupSlot < 0 ? 'no-group' : await facts.addTarget(groupSlot, target)
      if (outcome === 'added') {
        const { id, host, port, weight } = target
        note.after = { id, address: formatAddress(host, port), weight }
        return true
      }
      refused = outcome
      return undefined
    }
    const edit = isForFile ? ({ type: 'add', group, target } as const) : undefined
    if (!facts.directory.groups.includes(group)) refused = 'no-group'
    else if ((await carryOut(facts, request, response, edit, apply)) === 'answered') return
    switch (refused) {
      case 'exists':
        sendError(request, response, 'TARGET_EXISTS', whyExists(facts, groupSlot, group, target))
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
  },
})

const flag = (what: string) => z.enum(['true', 'false']).meta({ type: 'boolean' }).prefault('false').describe(what)

/** 202 while it drains, 200 when it is gone. */
export const removeTarget = route({
  method: 'DELETE',
  path: '/api/v1/target-groups/{group}/targets/{id}',
  id: 'removeTarget',
  summary: 'Remove a target',
  params: ofTarget,
  query: z.strictObject({
    now: flag('Cut what it has, instead of letting it drain.'),
    persist: flag('Take it out of the configuration file as well.'),
  }),
  answers: {
    200: { says: 'It is gone.', schema: z.strictObject({ id: z.string(), state: z.literal('removed') }) },
    202: {
      says: 'It drains, and then goes.',
      schema: z.strictObject({ id: z.string(), state: z.literal('draining'), leaves: time() }),
    },
  },
  errors: ['UNKNOWN_TARGET_GROUP', 'UNKNOWN_TARGET', 'NOT_PERSISTED', 'NOT_WRITTEN'],
  async handle({ facts, request, response, params, query, note }) {
    const { group, id } = params
    const target = findTarget(facts, request, response, params)
    if (target === undefined) return
    const now = query.now === 'true'
    const apply = async (): Promise<number | undefined> => {
      if (!isThere(facts, target)) return undefined
      const { slot, host, port } = target
      note.before = {
        address: formatAddress(host, port),
        weight: facts.table.weight(slot),
        state: stateOf(facts, slot),
      }
      const leavesMs = facts.removeTarget(slot, now)
      note.after = now ? null : { state: 'draining', leaves: new Date(wallTime(leavesMs, facts.clock)).toISOString() }
      return leavesMs
    }
    const edit = query.persist === 'true' ? ({ type: 'remove', group, id } as const) : undefined
    const done = await carryOut(facts, request, response, edit, apply)
    if (done === 'answered') return
    if (done === undefined) {
      sendError(request, response, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)} any more`)
      return
    }
    const leaves = new Date(wallTime(done, facts.clock)).toISOString()
    facts.log.info({ targetGroup: group, target: id, now, leaves }, 'the operator removed a target')
    if (now) sendJson(request, response, 200, { id, state: 'removed' })
    else sendJson(request, response, 202, { id, state: 'draining', leaves })
  },
})

/**
 * Carries out a change, and writes it to the file where there is an `edit`. Gives what `apply` gives; `answered` where the
 * file was not written, and that has been said.
 */
async function carryOut<T>(
  facts: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  edit: TargetEdit | undefined,
  apply: () => Promise<T | undefined>,
): Promise<T | undefined | 'answered'> {
  if (edit === undefined) return apply()
  const outcome: PersistOutcome<T | undefined> = await facts.reloading.persist(edit, apply)
  switch (outcome.result) {
    case 'done':
      return outcome.value
    case 'refused':
      sendError(request, response, 'NOT_PERSISTED', outcome.message)
      return 'answered'
    case 'not-written':
      sendError(request, response, 'NOT_WRITTEN', outcome.message)
      return 'answered'
  }
}

/** The values that are others now. */
function changed<T extends object>(before: T, after: T): { before: Partial<T>; after: Partial<T> } {
  const keys = (Object.keys(before) as (keyof T)[]).filter((key) => before[key] !== after[key])
  const only = (values: T): Partial<T> => Object.fromEntries(keys.map((key) => [key, values[key]])) as Partial<T>
  return { before: only(before), after: only(after) }
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
