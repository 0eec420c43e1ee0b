import { z } from 'zod'
import { Exposition } from '../observe/prometheus.js'
import { sendBody, sendJson, sendText, TEXT } from './answer.js'
import { route } from './route.js'

export const alive = route({
  method: 'GET',
  path: '/healthz',
  id: 'isAlive',
  summary: 'Whether the process lives',
  isOpen: true,
  answers: { 200: { says: 'It does.', type: TEXT } },
  handle: ({ request, response }) => sendText(request, response, 200, 'ok\n'),
})

/** Who asks a process that another has taken over from asks about the host, which serves. */
export const ready = route({
  method: 'GET',
  path: '/readyz',
  id: 'isReady',
  summary: 'Whether the host takes connections',
  isOpen: true,
  answers: { 200: { says: 'It does.', type: TEXT }, 503: { says: 'It starts or drains.', type: TEXT } },
  handle({ context, facts, request, response }) {
    const state = context.isHandedOver() ? 'running' : facts.state
    sendText(request, response, state === 'running' ? 200 : 503, `${state}\n`)
  },
})

export const metrics = route({
  method: 'GET',
  path: '/metrics',
  id: 'readMetrics',
  summary: 'Metrics in the text format of Prometheus',
  answers: { 200: { says: 'As of now.', type: Exposition.contentType } },
  async handle({ context, request, response }) {
    sendBody(request, response, 200, Exposition.contentType, await context.metrics())
  },
})

export const openApi = route({
  method: 'GET',
  path: '/openapi.json',
  id: 'describeApi',
  summary: 'This description',
  answers: { 200: { says: 'In the form of OpenAPI 3.1.', schema: z.looseObject({ openapi: z.string() }) } },
  handle: ({ context, request, response }) => sendJson(request, response, 200, context.openApi()),
})

/** Its files are served beside the routes. */
export const dashboard = route({
  method: 'GET',
  path: '/',
  id: 'openDashboard',
  summary: 'The dashboard',
  isOpen: true,
  answers: {
    200: { says: 'The page.', type: 'text/html; charset=utf-8' },
    404: { says: 'It was not built.', type: TEXT },
  },
  handle({ context, request, response }) {
    const page = context.dashboard.get('/')
    if (page !== undefined) sendBody(request, response, 200, page.contentType, page.body)
    else
      sendText(request, response, 404, 'The dashboard is not built; run "npm run build". The API is under /api/v1/.\n')
  },
})
