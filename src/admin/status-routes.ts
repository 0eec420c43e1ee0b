import { z } from 'zod'
import { sendError, sendJson } from './answer.js'
import { buildClusterStatus } from './cluster-status.js'
import { sourceOf } from './connection-bounds.js'
import { EVENT_STREAM, MAX_STREAMS, MAX_STREAMS_PER_SOURCE } from './events.js'
import { route } from './route.js'
import { clusterStatus, listenerStatus, statusAnswer, targetGroupStatus } from './status-schema.js'
import { sendUnknownGroup } from './unknown-target.js'

export const status = route({
  method: 'GET',
  path: '/api/v1/status',
  id: 'readStatus',
  summary: 'Everything that the process says about itself',
  answers: { 200: { says: 'As of now.', schema: statusAnswer } },
  handle: ({ context, request, response }) => sendJson(request, response, 200, context.status()),
})

export const listeners = route({
  method: 'GET',
  path: '/api/v1/listeners',
  id: 'listListeners',
  summary: 'Of the status the listeners',
  answers: { 200: { says: 'As of now.', schema: z.strictObject({ listeners: z.array(listenerStatus) }) } },
  handle: ({ context, request, response }) =>
    sendJson(request, response, 200, { listeners: context.status().listeners }),
})

export const targetGroups = route({
  method: 'GET',
  path: '/api/v1/target-groups',
  id: 'listTargetGroups',
  summary: 'Of the status the target groups',
  answers: { 200: { says: 'As of now.', schema: z.strictObject({ targetGroups: z.array(targetGroupStatus) }) } },
  handle: ({ context, request, response }) =>
    sendJson(request, response, 200, { targetGroups: context.status().targetGroups }),
})

export const targetGroup = route({
  method: 'GET',
  path: '/api/v1/target-groups/{group}',
  id: 'readTargetGroup',
  summary: 'One target group',
  answers: { 200: { says: 'As of now.', schema: targetGroupStatus } },
  params: z.strictObject({ group: z.string().describe('Name of the target group.') }),
  errors: ['UNKNOWN_TARGET_GROUP'],
  handle({ context, facts, request, response, params: { group } }) {
    const found = context.status().targetGroups.find(({ name }) => name === group)
    if (found !== undefined) sendJson(request, response, 200, found)
    else sendUnknownGroup(facts, request, response, group)
  },
})

export const cluster = route({
  method: 'GET',
  path: '/api/v1/cluster',
  id: 'readCluster',
  summary: 'The other hosts, Redis and how far behind they are',
  answers: { 200: { says: 'As of now.', schema: clusterStatus } },
  errors: ['NO_CLUSTER'],
  handle({ facts, request, response }) {
    if (facts.cluster !== undefined) sendJson(request, response, 200, buildClusterStatus(facts.cluster, facts.clock))
    else sendError(request, response, 'NO_CLUSTER', 'this host is alone: its configuration has no cluster')
  },
})

export const events = route({
  method: 'GET',
  path: '/api/v1/events',
  id: 'followStatus',
  summary: 'The status each second, without rules, as server-sent events',
  answers: {
    200: { says: 'A stream without end; `data` of each event is a Status.', type: EVENT_STREAM['Content-Type'] },
  },
  errors: ['TOO_MANY_STREAMS'],
  handle({ context, request, response }) {
    if (request.method === 'HEAD') {
      response.writeHead(200, EVENT_STREAM).end()
      return
    }
    const refused = context.events.add(response, sourceOf(request.socket))
    if (refused === undefined) {
      context.bounds.release(request.socket)
      return
    }
    response.setHeader('Retry-After', '5')
    const message =
      refused === 'source'
        ? `${MAX_STREAMS_PER_SOURCE} event streams are open already from this address`
        : `${MAX_STREAMS} event streams are open already`
    sendError(request, response, 'TOO_MANY_STREAMS', message)
  },
})
