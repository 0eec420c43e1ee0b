import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Endpoint } from '../../src/core/conn.js'
import { PROXY_V1_MAX_BYTES, PROXY_V2_MAX_BYTES } from '../../src/net/proxy-protocol.js'
import { PROXY_DONE, PROXY_NEED_MORE, ProxyProtocolReader } from '../../src/net/proxy-protocol-reader.js'
import { writeProxyV1, writeProxyV2 } from '../../src/net/proxy-protocol-writer.js'
import { toolOrSkip } from '../tools.js'

interface HaProxy {
  readonly port: number
  stop(): Promise<void>
}

const scratch = mkdtempSync(join(tmpdir(), 'castor-haproxy-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

/** Port 0 is not to be had from HAProxy: it is given a listening socket instead, which it inherits as descriptor 3. */
async function startHaProxy(
  program: string,
  name: string,
  bindOptions: string,
  serverOptions: string,
  originPort: number,
): Promise<HaProxy> {
  const socket = net.createServer()
  socket.listen(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address() as AddressInfo
  const fd = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd
  const file = join(scratch, `${name}.cfg`)
  writeFileSync(
    file,
    `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend in
  bind fd@3 ${bindOptions}
  unique-id-format %[uuid()]
  default_backend out
backend out
  server origin 127.0.0.1:${originPort} ${serverOptions}
`,
  )
  const child: ChildProcess = spawn(program, ['-db', '-q', '-f', file], {
    stdio: ['ignore', 'inherit', 'inherit', fd],
  })
  socket.close()
  return {
    port,
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function listen(onConnection: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer(onConnection)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const portOf = (server: net.Server): number => (server.address() as AddressInfo).port

t.test('HAProxy understands the headers that Castor writes', async (t) => {
  const program = toolOrSkip(t, 'haproxy')
  if (program === undefined) return
  // HAProxy passes on whom it believes to be talking to, in its own header, and the origin echoes that.
  const origin = await listen((socket) => {
    socket.once('data', (data) => socket.end(data))
  })
  const haproxy = await startHaProxy(program, 'accept', 'accept-proxy', 'send-proxy', portOf(origin))
  t.teardown(async () => {
    await haproxy.stop()
    origin.close()
  })
  const v4 = (address: string, port: number): Endpoint => ({ family: 4, address, port })
  const v6 = (address: string, port: number): Endpoint => ({ family: 6, address, port })
  const cases: [Endpoint, Endpoint, string][] = [
    [v4('192.0.2.7', 40_001), v4('198.51.100.1', 443), 'PROXY TCP4 192.0.2.7 198.51.100.1 40001 443'],
    [v6('2001:db8::7', 40_002), v6('2001:db8::1', 443), 'PROXY TCP6 2001:db8::7 2001:db8::1 40002 443'],
    [v4('192.0.2.7', 40_003), v6('2001:db8::1', 443), 'PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 40003 443'],
  ]
  for (const [source, destination, expected] of cases) {
    const v1 = new Uint8Array(PROXY_V1_MAX_BYTES)
    const v2 = new Uint8Array(PROXY_V2_MAX_BYTES)
    const withTlvs = new Uint8Array(PROXY_V2_MAX_BYTES)
    const headers: [string, Uint8Array][] = [
      ['version 1', v1.subarray(0, writeProxyV1(v1, 0, source, destination))],
      ['version 2', v2.subarray(0, writeProxyV2(v2, 0, source, destination))],
      [
        'version 2 with a unique id and a checksum',
        withTlvs.subarray(
          0,
          writeProxyV2(withTlvs, 0, source, destination, { uniqueId: Buffer.from('request-1'), checksum: true }),
        ),
      ],
    ]
    for (const [name, header] of headers) {
      const socket = net.connect(haproxy.port, '127.0.0.1')
      socket.write(header)
      socket.write('hello')
      let answer = ''
      for await (const data of socket) answer += String(data)
      t.equal(answer.split('\r\n')[0], expected, name)
    }
  }
})

for (const version of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options unique-id,crc32c']) {
  t.test(`Castor understands what HAProxy sends with ${version}`, async (t) => {
    const program = toolOrSkip(t, 'haproxy')
    if (program === undefined) return
    let reader = new ProxyProtocolReader()
    const origin = await listen((socket) => {
      reader = new ProxyProtocolReader()
      let received = Buffer.alloc(0)
      socket.on('data', (data) => {
        received = Buffer.concat([received, data])
        const result = reader.feed(received, 0, received.length)
        if (result === PROXY_NEED_MORE) return
        const rest = received.subarray(reader.headerLength).toString()
        if (result !== PROXY_DONE) socket.end(`invalid: ${reader.problem}`)
        else if (rest.endsWith('\n')) socket.end(`got ${rest}`)
      })
    })
    const haproxy = await startHaProxy(program, 'send', '', version, portOf(origin))
    t.teardown(async () => {
      await haproxy.stop()
      origin.close()
    })
    const socket = net.connect(haproxy.port, '127.0.0.1')
    await once(socket, 'connect')
    const { localPort } = socket
    socket.write('hello\n')
    let answer = ''
    for await (const data of socket) answer += String(data)
    t.equal(answer, 'got hello\n', reader.problem)
    t.same(reader.source, { family: 4, address: '127.0.0.1', port: localPort })
    t.same(reader.destination, { family: 4, address: '127.0.0.1', port: haproxy.port })
    const id = reader.uniqueId && Buffer.from(reader.uniqueId).toString()
    if (version.includes('unique-id')) t.match(id, /^[0-9a-f-]{36}$/)
  })
}
