import { request as httpRequest } from 'node:http'
import type { TestCastor } from './castor.js'
import { fetchText } from './castor.js'

/** Whatever has an administration to ask. */
export type Administered = Pick<TestCastor, 'running'>

/** A target as the administration shows it. */
export interface ShownTarget {
  readonly id: string
  readonly weight: number
  readonly state: string
  readonly health: string
  readonly reason: string | null
  readonly connections: number
  readonly requests: number
  readonly leaves: string | null
}

export async function shownTargets(castor: Administered): Promise<ShownTarget[]> {
  const status = JSON.parse(await fetchText(castor.running.admin.port, '/api/v1/status')) as {
    targetGroups: { targets: ShownTarget[] }[]
  }
  return status.targetGroups.flatMap(({ targets }) => targets)
}

export async function shown(castor: Administered, id: string): Promise<ShownTarget> {
  return (await shownTargets(castor)).find((target) => target.id === id)!
}

export interface Answer {
  readonly code: number
  readonly text: string
  /** The text as JSON. */
  readonly json: unknown
}

/** A request to the admin API; a `body` that is text goes as it is, anything else as JSON. */
export function ask(
  adminPort: number,
  method: string,
  path: string,
  body?: unknown,
  contentType = 'application/json',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = method === 'GET' ? {} : { 'content-type': contentType }
    const options = { host: '127.0.0.1', port: adminPort, path, method, headers, agent: false }
    const sent = httpRequest(options, (response) => {
      let text = ''
      response.on('data', (data) => (text += String(data)))
      response.on('end', () => {
        const code = response.statusCode!
        resolve({
          code,
          text,
          get json(): unknown {
            return JSON.parse(text)
          },
        })
      })
    })
    sent.on('error', reject)
    sent.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
  })
}

export const targetsPath = (group = 'app'): string => `/api/v1/target-groups/${encodeURIComponent(group)}/targets`

/** Asks for a change of a target. */
export function patch(castor: Administered, id: string, body: unknown, group = 'app'): Promise<Answer> {
  return ask(castor.running.admin.port, 'PATCH', `${targetsPath(group)}/${encodeURIComponent(id)}`, body)
}

/** Adds a target. */
export function post(castor: Administered, body: unknown, group = 'app'): Promise<Answer> {
  return ask(castor.running.admin.port, 'POST', targetsPath(group), body)
}

/** Takes a target out; `query` with its question mark. */
export function remove(castor: Administered, id: string, query = '', group = 'app'): Promise<Answer> {
  return ask(castor.running.admin.port, 'DELETE', `${targetsPath(group)}/${encodeURIComponent(id)}${query}`)
}
