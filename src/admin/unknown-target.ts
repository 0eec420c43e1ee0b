import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ListedTarget } from '../core/directory.js'
import { sendError } from './answer.js'
import type { AdminFacts } from './facts.js'

export function sendUnknownGroup(
  { directory }: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  group: string,
): void {
  const instead = `there are: ${directory.groups.filter((name) => name !== undefined).join(', ')}`
  const message = `there is no target group ${JSON.stringify(group)}; ${instead}`
  sendError(request, response, 'UNKNOWN_TARGET_GROUP', message)
}

/** The target that is asked for; where there is none, that has been said. */
export function findTarget(
  facts: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  { group, id }: { readonly group: string; readonly id: string },
): ListedTarget | undefined {
  const groupSlot = facts.directory.groups.indexOf(group)
  if (groupSlot < 0) {
    sendUnknownGroup(facts, request, response, group)
    return undefined
  }
  const known = facts.targets.filter((target) => target.group === groupSlot)
  const target = known.findLast((candidate) => candidate.id === id)
  if (target === undefined) {
    const instead = known.length === 0 ? 'it has none' : `there are: ${known.map((other) => other.id).join(', ')}`
    sendError(request, response, 'UNKNOWN_TARGET', `${group} has no target ${JSON.stringify(id)}; ${instead}`)
  }
  return target
}
