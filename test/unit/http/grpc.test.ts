import t from 'tap'
import { grpcStatus, isGrpcType, writeGrpcReply } from '../../../src/http/grpc.js'
import type { Reply } from '../../../src/http/reply.js'

const reply = (more: Partial<Reply> = {}): Reply => ({
  status: 503,
  requestId: Buffer.from('id'),
  close: true,
  head: false,
  versionMinor: 1,
  ...more,
})

t.test('HTTP statuses are those of calls as gRPC’s mapping has them', async (t) => {
  const mapping = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 }
  for (const [http, grpc] of Object.entries(mapping)) t.equal(grpcStatus(Number(http)), grpc, http)
  for (const http of [301, 308, 405, 408, 413, 414, 417, 431, 500, 501, 505]) t.equal(grpcStatus(http), 2, `${http}`)
})

t.test('gRPC is told by its media type, in whatever letters', async (t) => {
  for (const [type, grpc] of [
    ['application/grpc', true],
    ['application/grpc+json', true],
    ['APPLICATION/GRPC;charset=x', true],
    ['application/grpc ; x', true],
    ['application/grpc-web', false],
    ['application/grpc-web+proto', false],
    ['application/grp', false],
    ['', false],
  ] as const) {
    const bytes = Buffer.from(`>${type}<`)
    t.equal(isGrpcType(bytes, 1, bytes.length - 1), grpc, type)
  }
})

t.test('the message is percent-encoded, and names status, reason and request', async (t) => {
  const out = Buffer.alloc(4_096)
  const write = (more: Partial<Reply>, reason: 'NO_TARGET' | 'NONE'): string =>
    out.toString('latin1', 3, writeGrpcReply(out, 3, reply(more), reason)).replace(/date: [^\r]*\r\n/, '')
  t.equal(
    write({ requestId: Buffer.from('50% \u00e9\x01\x7f~', 'latin1'), retryAfterSeconds: 1 }, 'NO_TARGET'),
    'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\ngrpc-status: 14\r\n' +
      'grpc-message: 503 Service Unavailable: NO_TARGET (request 50%25 %E9%01%7F~)\r\nretry-after: 1\r\n\r\n',
  )
  t.match(
    write({ status: 308, lines: Buffer.from('location: https://a/\r\n') }, 'NONE'),
    /\r\ngrpc-status: 2\r\ngrpc-message: 308 Permanent Redirect \(request id\)\r\nlocation: https:\/\/a\/\r\n\r\n$/,
  )
  t.equal(writeGrpcReply(out.subarray(0, 500), 0, reply(), 'NO_TARGET'), -1, 'too little room')
})
