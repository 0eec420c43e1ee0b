// @fastify/http-proxy in front of one target: node fastify-http-proxy.mjs '{"port":…,"targetPort":…,"accessLog":…}'
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'

const { port, targetPort, accessLog } = JSON.parse(process.argv[2])
const server = fastify({ logger: accessLog === undefined ? false : { file: accessLog }, keepAliveTimeout: 60_000 })
await server.register(httpProxy, {
  upstream: `http://127.0.0.1:${targetPort}`,
  websocket: true,
  undici: { connections: 256, pipelining: 1 },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => ({ ...headers, 'x-forwarded-for': request.socket.remoteAddress }),
    // It relays these of the target's connection, and so promises clients what their own connection does not do.
    rewriteHeaders: ({ connection: _connection, 'keep-alive': _keepAlive, ...headers }) => headers,
  },
})
await server.listen({ port, host: '127.0.0.1', backlog: 4096 })
