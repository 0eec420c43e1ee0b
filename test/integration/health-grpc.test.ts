import { readFileSync } from 'node:fs'
import { type handleUnaryCall, type Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, type Field, frame, headers, SETTINGS_ACK, settings } from '../unit/http/h2/rig.js'
import type { Test } from './support/castor.js'
import { startTestCastor } from './support/castor.js'
import { type CheckCase, expectVerdicts } from './support/first-verdicts.js'
import { Http2Target, sayHello } from './support/http2-peers.js'
import { shown } from './support/operator.js'
import { TcpTarget } from './support/tcp-peers.js'
import { authorityFor } from './support/tls.js'
import { until } from './support/until.js'

const CHECK = {
  path: '/grpc.health.v1.Health/Check',
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
}
const SERVING = 1
const NOT_SERVING = 2

type Shows = ReturnType<typeof ServerCredentials.createInsecure>

/** A gRPC server with the health service; what each service's status is, can be changed. */
async function grpcServer(
  t: Test,
  statuses: Map<string, number> | undefined,
  shows: Shows = ServerCredentials.createInsecure(),
): Promise<{ address: string; metadata: Metadata[] }> {
  const server = new Server()
  const metadata: Metadata[] = []
  const check: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    metadata.push(call.metadata)
    const name = call.request.length === 0 ? '' : call.request.subarray(2).toString()
    const found = statuses?.get(name)
    if (found === undefined) callback({ code: status.NOT_FOUND, details: `no service ${name}` })
    else callback(null, Buffer.from([0x08, found]))
  }
  if (statuses !== undefined) server.addService({ check: CHECK }, { check })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', shows, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  t.teardown(() => server.forceShutdown())
  return { address: `127.0.0.1:${port}`, metadata }
}

t.test('gRPC checks ask the health service of a real server, in clear and over TLS', async (t) => {
  const statuses = new Map([
    ['', SERVING],
    ['shop.v1.Cart', SERVING],
    ['shop.v1.Stock', NOT_SERVING],
  ])
  const plain = await grpcServer(t, statuses)
  const without = await grpcServer(t, undefined)
  const authority = authorityFor(t)
  const files = authority.issue('grpc', { names: ['grpc.example'] })
  const pair = { cert_chain: readFileSync(files.cert), private_key: readFileSync(files.key) }
  const secure = await grpcServer(t, statuses, ServerCredentials.createSsl(null, [pair]))
  const h2c = { protocol: 'h2c', address: plain.address }
  const h2 = { protocol: 'h2', address: secure.address, group: { tls: { ca: authority.cert } } }
  const http = await Http2Target.start(t, sayHello)
  await expectVerdicts(t, [
    { name: 'server', ...h2c, check: { protocol: 'grpc', host: 'grpc.example' }, reason: null },
    { name: 'service', ...h2c, check: { protocol: 'grpc', service: 'shop.v1.Cart' }, reason: null },
    {
      name: 'not-serving',
      ...h2c,
      check: { protocol: 'grpc', service: 'shop.v1.Stock' },
      reason: 'GRPC_NOT_SERVING',
      detail: /^NOT_SERVING \(shop\.v1\.Stock\)$/,
    },
    {
      name: 'unknown-service',
      ...h2c,
      check: { protocol: 'grpc', service: 'nobody' },
      reason: 'GRPC_STATUS_MISMATCH',
      detail: /^NOT_FOUND: no service nobody$/,
    },
    {
      name: 'no-health-service',
      protocol: 'h2c',
      address: without.address,
      check: { protocol: 'grpc' },
      reason: 'GRPC_STATUS_MISMATCH',
      detail: /^UNIMPLEMENTED/,
    },
    {
      name: 'no-grpc',
      protocol: 'h2c',
      address: http.address,
      check: { protocol: 'grpc' },
      reason: 'RESPONSE_FORMAT_ERROR',
      detail: /^no gRPC: content-type none$/,
    },
    { name: 'over-TLS', ...h2, check: { protocol: 'grpc', host: 'grpc.example', verify: true }, reason: null },
    {
      name: 'over-TLS-not-serving',
      ...h2,
      check: { protocol: 'grpc', service: 'shop.v1.Stock' },
      reason: 'GRPC_NOT_SERVING',
    },
    {
      name: 'another-name',
      ...h2,
      check: { protocol: 'grpc', host: 'b.example', verify: true },
      reason: 'CONNECT_FAILED',
      detail: /ALTNAME_INVALID/,
    },
    { name: 'of-a-tcp-group', protocol: 'tcp', address: plain.address, check: { protocol: 'grpc' }, reason: null },
  ])
  t.same(plain.metadata[0]!.get('user-agent'), ['castor-health-check'])
})

t.test('a gRPC target that stops serving is left out, and comes back', async (t) => {
  const statuses = new Map([['', SERVING]])
  const { address } = await grpcServer(t, statuses)
  const healthCheck = { protocol: 'grpc', interval: '100ms', healthyThreshold: 1, unhealthyThreshold: 2 }
  const castor = await startTestCastor(t, [address], {
    listener: { http2: true },
    group: { protocol: 'h2c', healthCheck },
  })
  t.equal((await shown(castor, address)).health, 'healthy')
  statuses.set('', NOT_SERVING)
  await until('it being left out', async () => (await shown(castor, address)).health === 'unhealthy')
  t.equal((await shown(castor, address)).reason, 'GRPC_NOT_SERVING')
  statuses.set('', SERVING)
  await until('it being back', async () => (await shown(castor, address)).health === 'healthy')
})

const GRPC: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]
const OK: readonly Field[] = [['grpc-status', '0']]
const message = (...bytes: number[]): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([prefix, Buffer.from(bytes)])
}
const data = (bytes: Uint8Array, flags = 0): Buffer => frame(FRAME.DATA, flags, 1, bytes)

/** What a target says of itself that is no gRPC, and what the check calls it. */
const WRONG: readonly [string, readonly Uint8Array[], string | null, RegExp?][] = [
  ['serving', [headers(1, GRPC), data(message(8, 1)), headers(1, OK, END)], null],
  ['unknown-fields', [headers(1, GRPC), data(message(0x12, 1, 65, 8, 1, 0x1d, 0, 0, 0, 0)), headers(1, OK, END)], null],
  [
    'in-pieces',
    [headers(1, GRPC), ...[...message(8, 1)].map((byte) => data(Buffer.from([byte]))), headers(1, OK, END)],
    null,
  ],
  [
    'trailers-only',
    [headers(1, [...GRPC, ['grpc-status', '14'], ['grpc-message', 'over%20loaded%1B[31m']], END)],
    'GRPC_STATUS_MISMATCH',
    /^UNAVAILABLE: over loaded\?\[31m$/,
  ],
  ['trailers-only-OK', [headers(1, [...GRPC, ...OK], END)], 'RESPONSE_FORMAT_ERROR', /OK without a message/],
  ['trailers-only-nothing', [headers(1, GRPC, END)], 'RESPONSE_FORMAT_ERROR', /no grpc-status/],
  [
    'message-and-failure',
    [headers(1, GRPC), data(message(8, 1)), headers(1, [['grpc-status', '13']], END)],
    'GRPC_STATUS_MISMATCH',
    /INTERNAL/,
  ],
  ['no-trailers', [headers(1, GRPC), data(message(8, 1), END)], 'RESPONSE_FORMAT_ERROR', /ended without grpc-status/],
  ['empty-message', [headers(1, GRPC), data(message()), headers(1, OK, END)], 'GRPC_NOT_SERVING', /^UNKNOWN$/],
  [
    'service-unknown',
    [headers(1, GRPC), data(message(8, 3)), headers(1, OK, END)],
    'GRPC_NOT_SERVING',
    /^SERVICE_UNKNOWN$/,
  ],
  ['new-status', [headers(1, GRPC), data(message(8, 9)), headers(1, OK, END)], 'GRPC_NOT_SERVING', /^status 9$/],
  ['no-message', [headers(1, GRPC), headers(1, OK, END)], 'RESPONSE_FORMAT_ERROR', /without a message/],
  [
    'two-messages',
    [headers(1, GRPC), data(Buffer.concat([message(8, 1), message(8, 1)])), headers(1, OK, END)],
    'RESPONSE_FORMAT_ERROR',
    /length/,
  ],
  [
    'compressed',
    [headers(1, GRPC), data(Buffer.from([1, 0, 0, 0, 2, 8, 1])), headers(1, OK, END)],
    'RESPONSE_FORMAT_ERROR',
    /compressed/,
  ],
  [
    'no-protobuf',
    [headers(1, GRPC), data(message(0x0b, 0xff)), headers(1, OK, END)],
    'RESPONSE_FORMAT_ERROR',
    /no HealthCheckResponse/,
  ],
  [
    'status-as-text',
    [headers(1, GRPC), data(message(0x0a, 1, 49)), headers(1, OK, END)],
    'RESPONSE_FORMAT_ERROR',
    /no HealthCheckResponse/,
  ],
  ['too-long', [headers(1, GRPC), data(Buffer.alloc(5_000))], 'RESPONSE_FORMAT_ERROR', /more than 4096 bytes/],
  ['http-status', [headers(1, [[':status', '502']], END)], 'HTTP_CODE_MISMATCH', /status 502/],
  [
    'web-page',
    [
      headers(1, [
        [':status', '200'],
        ['content-type', 'text/html'],
      ]),
    ],
    'RESPONSE_FORMAT_ERROR',
    /text\/html/,
  ],
]

t.test('what is no answer of the health service is called by its fault', async (t) => {
  const cases: CheckCase[] = []
  for (const [name, frames, reason, detail] of WRONG) {
    const target = await TcpTarget.start(t, (socket) => {
      socket.once('data', () => socket.write(Buffer.concat([settings(), SETTINGS_ACK, ...frames])))
    })
    const expected = { reason, ...(detail === undefined ? {} : { detail }) }
    cases.push({ name, address: target.address, protocol: 'h2c', check: { protocol: 'grpc' }, ...expected })
  }
  await expectVerdicts(t, cases)
})
