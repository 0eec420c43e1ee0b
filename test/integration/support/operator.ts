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

/** Asks for a change of a target; `body` goes as it is where it is text. */
export function patch(
  castor: Administered,
  id: string,
  body: unknown,
  group = 'app',
): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const path = `/api/v1/target-groups/${encodeURIComponent(group)}/targets/${encodeURIComponent(id)}`
    const options = { host: '127.0.0.1', port: castor.running.admin.port, path, method: 'PATCH', agent: false }
    const sent = httpRequest(options, (response) => {
      let text = ''
      response.on('data', (data) => (text += String(data)))
      response.on('end', () => resolve({ code: response.statusCode!, text }))
    })
    sent.on('error', reject)
    sent.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
}
