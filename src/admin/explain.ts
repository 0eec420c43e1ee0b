import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'

const KNOWN = ['method', 'url', 'from', 'listener', 'header']
const STATUS = { BAD_URL: 400, BAD_REQUEST: 400, NO_LISTENER: 404, NOT_HTTP: 409 } as const

/** `GET /api/v1/explain?method=&url=&from=&listener=&header=`: what would become of a request; `header` may come again. */
export function sendExplanation(
  facts: Pick<AdminFacts, 'explain'>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const target = request.url ?? ''
  const start = target.indexOf('?')
  const values = new URLSearchParams(start < 0 ? '' : target.slice(start + 1))
  const problem = [...values.keys()]
    .map((name) => {
      if (!KNOWN.includes(name)) return `unknown parameter ${JSON.stringify(name)}; known here: ${KNOWN.join(', ')}`
      return name !== 'header' && values.getAll(name).length > 1 ? `${name}: is there twice` : undefined
    })
    .find((each) => each !== undefined)
  const url = values.get('url')
  if (problem !== undefined || url === null) {
    sendError(request, response, 400, 'BAD_PARAMETER', problem ?? 'url: is missing; the URL that is asked about')
    return
  }
  const explained = facts.explain({
    method: values.get('method') ?? 'GET',
    url,
    headers: values.getAll('header'),
    from: values.get('from') ?? '127.0.0.1',
    listener: values.get('listener') ?? undefined,
  })
  if ('code' in explained) sendError(request, response, STATUS[explained.code], explained.code, explained.message)
  else sendJson(request, response, 200, explained)
}
