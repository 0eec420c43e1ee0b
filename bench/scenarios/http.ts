import { httpLoad, httpLoadLabel } from '../load/http.js'
import type { HttpRequest } from '../load/load.js'
import { LARGE_BYTES, LARGE_PATH, SINK_PATH, SMALL_PATH } from '../origin/content.js'
import type { Feature } from '../proxies/proxy.js'
import { measureCpu } from '../rounds.js'
import type { Scenario } from './scenario.js'

interface HttpCase {
  readonly name: string
  readonly title: string
  readonly most?: number
  readonly request: HttpRequest
  readonly needs?: readonly Feature[]
}

const small: HttpRequest = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

const cases: readonly HttpCase[] = [
  { name: 'http-keepalive', title: 'HTTP keep-alive, 100 B', most: 0.92, request: small },
  {
    name: 'http-keepalive-log',
    title: 'HTTP keep-alive, access log on',
    most: 1,
    request: small,
    needs: ['access-log'],
  },
  {
    name: 'http-newconn',
    title: 'New connection each request',
    most: 1,
    request: { ...small, closeEach: true },
  },
  { name: 'body-down-1m', title: '1 MiB response bodies', most: 0.65, request: { ...small, path: LARGE_PATH } },
  {
    name: 'body-up-1m',
    title: '1 MiB request bodies',
    most: 0.65,
    request: { ...small, path: SINK_PATH, bodyBytes: LARGE_BYTES },
  },
]

/** CPU per request of HTTP/1.1 exchanges of one kind. */
export const httpScenarios: readonly Scenario[] = cases.map(({ name, title, most, request, needs = [] }) => ({
  name,
  title,
  unit: 'request',
  needs: ['http', ...needs],
  mode: 'http',
  origin: 'http',
  ...(most === undefined ? {} : { limit: { kind: 'ratio', most } }),
  load: (settings) => httpLoadLabel(settings, request),
  run: (bench) => measureCpu(bench, httpLoad(bench.settings, request)),
}))
