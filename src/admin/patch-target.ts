import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { ADMIN_STATES } from '../core/target-state.js'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'

const MAX_BODY_BYTES = 4 * 1024

const change = z
  .strictObject({ weight: z.int().min(0).max(100).optional(), state: z.enum(ADMIN_STATES).optional() })
  .refine((given) => given.weight !== undefined || given.state !== undefined, 'give weight, state or both')

/** `PATCH /api/v1/target-groups/GROUP/targets/ID` with `weight`, `state` or both; answers with what holds now. */
export async function patchTarget(
  facts: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  group: string,
  id: string,
): Promise<void> {
  const { directory, table } = facts
  const groupSlot = directory.groups.indexOf(group)
  const slot = directory.targets.findIndex((target) => target.group === groupSlot && target.id === id)
  if (slot < 0) {
    const known = directory.targets.filter((target) => target.group === groupSlot).map((target) => target.id)
    const missing =
      groupSlot < 0
        ? `there is no target group ${JSON.stringify(group)}`
        : `${group} has no target ${JSON.stringify(id)}`
    const instead = groupSlot < 0 ? directory.groups : known
    sendError(request, response, 404, 'UNKNOWN_TARGET', `${missing}; there are: ${instead.join(', ')}`)
    return
  }
  const wanted = change.safeParse(await readJson(request))
  if (!wanted.success) {
    const problems = wanted.error.issues.map(({ path, message }) => [...path, message].join(': '))
    sendError(request, response, 400, 'BAD_CHANGE', problems.join('; '))
    return
  }
  const { weight, state } = wanted.data
  if (weight !== undefined) facts.setTargetWeight(slot, weight)
  if (state !== undefined) facts.setTargetState(slot, state)
  facts.log.info({ targetGroup: group, target: id, ...wanted.data }, 'the operator changed a target')
  sendJson(request, response, 200, { id, weight: table.weight(slot), state: ADMIN_STATES[table.admin(slot)] })
}

/** The body as JSON; undefined where it is none, or too long. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}
