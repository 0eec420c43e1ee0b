import { h2load } from '../load/h2load.js'
import type { HandshakesOptions } from '../load/handshakes.js'
import { httpLoad, httpLoadLabel } from '../load/http.js'
import type { HttpRequest, LoadResult } from '../load/load.js'
import { loadCore } from '../machine.js'
import { orderOnce } from '../order.js'
import { LARGE_PATH, SMALL_PATH } from '../origin/content.js'
import { type Load, measureCpu } from '../rounds.js'
import type { Settings } from '../settings.js'
import type { Limit, Scenario } from './scenario.js'

const small: HttpRequest = { path: SMALL_PATH, bodyBytes: 0, closeEach: false, secure: true }
const GRACE_SECONDS = 15
/** Handshakes cost the generator more than the proxy: more at once would only wait for it. */
const HANDSHAKES_AT_ONCE = 16
const STREAMS = 100
/** Connections where 1,600 requests are to be under way. */
const MANY = 16
const unaryCall = { path: '/bench.Echo/Unary', grpc: true }

interface TlsCase {
  readonly name: string
  readonly title: string
  readonly most?: number
  /** Targets speak HTTP/2 in clear and answer calls of gRPC. */
  readonly grpc?: boolean
  readonly label: (settings: Settings) => string
  readonly load: (settings: Settings) => Load
}

/** A new connection and one request. */
const handshakes =
  (resume: boolean) =>
  (): Load =>
  (port, seconds): Promise<LoadResult> => {
    const options: HandshakesOptions = { port, connections: HANDSHAKES_AT_ONCE, seconds, path: SMALL_PATH, resume }
    const withinMs = (seconds + GRACE_SECONDS) * 1000
    return orderOnce<HandshakesOptions, LoadResult>('load/handshakes', options, loadCore, withinMs)
  }

const cases: readonly TlsCase[] = [
  {
    name: 'https-keepalive',
    title: 'HTTPS keep-alive, 100 B',
    most: 0.9,
    label: (settings) => httpLoadLabel({ ...settings, rate: undefined }, small),
    load: (settings) => httpLoad({ ...settings, rate: undefined }, small),
  },
  {
    name: 'https-handshake',
    title: 'Full TLS 1.3 handshake and a request',
    most: 0.92,
    label: () => 'own',
    load: handshakes(false),
  },
  {
    name: 'https-resumed',
    title: 'Resumed TLS 1.3 session and a request',
    most: 0.95,
    label: () => 'own',
    load: handshakes(true),
  },
  {
    name: 'https-body-1m',
    title: '1 MiB response bodies over HTTPS',
    label: (settings) => httpLoadLabel({ ...settings, rate: undefined }, small),
    load: (settings) => httpLoad({ ...settings, rate: undefined }, { ...small, path: LARGE_PATH }),
  },
  {
    name: 'h2-streams',
    title: `HTTP/2 over TLS, ${STREAMS} streams`,
    most: 1.1,
    label: () => 'h2load',
    load: () => (port, seconds) => h2load({ port, connections: 1, streams: STREAMS, seconds, path: SMALL_PATH }),
  },
  {
    name: 'h2-streams-16',
    title: `HTTP/2 over TLS, ${MANY} × ${STREAMS} streams`,
    most: 1.1,
    label: () => 'h2load',
    load: () => (port, seconds) => h2load({ port, connections: MANY, streams: STREAMS, seconds, path: SMALL_PATH }),
  },
  {
    name: 'grpc-unary',
    title: `gRPC unary calls, ${STREAMS} at once`,
    most: 1.2,
    grpc: true,
    label: () => 'h2load',
    load: () => (port, seconds) => h2load({ port, connections: 1, streams: STREAMS, seconds, ...unaryCall }),
  },
]

/** CPU per request where clients speak TLS: the same ECDSA P-256 certificate for all, targets without TLS. */
export const tlsScenarios: readonly Scenario[] = cases.map(({ name, title, most, grpc, label, load }) => ({
  name,
  title,
  unit: 'request',
  needs: grpc ? ['tls', 'grpc'] : ['http', 'tls'],
  mode: grpc ? 'grpc' : 'http',
  secure: true,
  origin: grpc ? 'grpc' : 'http',
  ...(most === undefined ? {} : { limit: { kind: 'ratio', most } satisfies Limit }),
  load: label,
  run: (bench) => measureCpu(bench, load(bench.settings)),
}))
