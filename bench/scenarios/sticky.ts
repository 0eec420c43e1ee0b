import { get } from 'node:http'
import { httpLoad, httpLoadLabel } from '../load/http.js'
import type { HttpRequest, LoadResult } from '../load/load.js'
import type { ManyClientsOptions } from '../load/many-clients.js'
import { loadCore } from '../machine.js'
import { orderOnce } from '../order.js'
import { SMALL_PATH } from '../origin/content.js'
import { SUBJECT } from '../proxies/all.js'
import { measureCpu } from '../rounds.js'
import type { Scenario } from './scenario.js'

/** Castor itself, with the same load and without stickiness. */
const WITHOUT = 'without'

const COOKIE = 'LB'
const small: HttpRequest = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

/** What each request costs more in a group with an inserted cookie, when clients send it back as they do. */
const cookieScenario: Scenario = {
  name: 'sticky-cookie',
  title: 'Sticky cookie, × without',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'ratio', most: 1.08, against: WITHOUT },
  lanes: [
    { name: SUBJECT, changes: { group: { stickiness: { type: 'cookie', name: COOKIE } } } },
    { name: WITHOUT, changes: {} },
  ],
  load: (settings) => httpLoadLabel({ ...settings, rate: undefined }, small),
  async run(bench) {
    const sticky = bench.proxies.find(({ name }) => name === SUBJECT)
    const cookie = sticky === undefined ? '' : await cookieFrom(sticky.port)
    return measureCpu(bench, httpLoad(bench.settings, { ...small, headers: { Cookie: cookie } }), WITHOUT)
  },
}

/** Sessions that are live while it is measured; four fifths of what the table holds. */
const SESSIONS = 1_000_000
const CAPACITY = SESSIONS / 0.8
/** Connections: so many that no cache holds the sessions of all, few enough for the open files of a process. */
const CLIENTS = 4_000
const GRACE_SECONDS = 30

/** What each request costs more in a group bound by client address: a look-up among a million live sessions. */
const sourceScenario: Scenario = {
  name: 'sticky-source-ip',
  title: 'Sticky source-ip, 1 M sessions, × without',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'ratio', most: 1.05, against: WITHOUT },
  lanes: [
    {
      name: SUBJECT,
      changes: {
        listener: { acceptProxyProtocol: ['127.0.0.1/32'] },
        group: { stickiness: { type: 'source-ip', timeout: '1h' } },
        file: { sessions: { capacity: CAPACITY } },
        sessions: SESSIONS,
      },
    },
    { name: WITHOUT, changes: { listener: { acceptProxyProtocol: ['127.0.0.1/32'] } } },
  ],
  load: () => `own, ${CLIENTS} clients`,
  run: (bench) =>
    measureCpu(
      bench,
      (port, seconds, onBegun) => {
        const options: ManyClientsOptions = {
          port,
          clients: CLIENTS,
          outOf: SESSIONS,
          atOnce: bench.settings.connections,
          seconds,
          path: SMALL_PATH,
        }
        const withinMs = (seconds + GRACE_SECONDS) * 1000
        return orderOnce<ManyClientsOptions, LoadResult>('load/many-clients', options, loadCore, withinMs, onBegun)
      },
      WITHOUT,
    ),
}

/** The cookie that the balancer gives out, as a client sends it back. */
function cookieFrom(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: SMALL_PATH, agent: false, timeout: 5000 }, (answer) => {
      answer.resume()
      const pair = answer.headers['set-cookie']?.[0]?.split(';')[0]
      if (pair?.startsWith(`${COOKIE}=`)) resolve(pair)
      else reject(new Error('no cookie came with the answer'))
    })
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', reject)
  })
}

export const stickyScenarios: readonly Scenario[] = [cookieScenario, sourceScenario]
