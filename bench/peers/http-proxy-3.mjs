// http-proxy-3 in front of one target: node http-proxy-3.mjs '{"port":…,"targetPort":…}'
import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

const { port, targetPort } = JSON.parse(process.argv[2])
const proxy = createProxyServer({
  target: { host: '127.0.0.1', port: targetPort },
  agent: new Agent({ keepAlive: true, maxFreeSockets: 256 }),
  xfwd: true,
  ws: true,
})
proxy.on('error', (_error, _request, response) => {
  if (response !== undefined && 'writeHead' in response && !response.headersSent) response.writeHead(502)
  response?.end()
})
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => proxy.web(request, response))
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
