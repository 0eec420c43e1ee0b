import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import type { Endpoint } from '../../src/core/conn.js'
import { PROXY_DONE, PROXY_NEED_MORE, ProxyProtocolReader } from '../../src/net/proxy-protocol-reader.js'
import { toolOrSkip } from '../tools.js'
import { onePair, startBalancer } from './support/balancer.js'
import { startNginx } from './support/nginx.js'
import { dial, readAll, TcpTarget } from './support/tcp-peers.js'

interface Announced {
  readonly source: Endpoint | undefined
  readonly destination: Endpoint | undefined
  readonly uniqueId: string | undefined
  readonly rest: string
  readonly firstByte: number
}

/** Reads the header a connection begins with, and what follows to the client's end; then ends, too. */
function readAnnounced(socket: Socket): Promise<Announced> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    socket.on('data', (data: Buffer) => parts.push(data))
    socket.on('end', () => {
      socket.end('done')
      const all = Buffer.concat(parts)
      const reader = new ProxyProtocolReader()
      const outcome = reader.feed(all, 0, all.length)
      if (outcome !== PROXY_DONE) {
        reject(new Error(outcome === PROXY_NEED_MORE ? 'the header is cut short' : reader.problem))
        return
      }
      resolve({
        source: reader.source,
        destination: reader.destination,
        uniqueId: reader.uniqueId && Buffer.from(reader.uniqueId).toString(),
        rest: String(all.subarray(reader.headerLength)),
        firstByte: all[0]!,
      })
    })
  })
}

for (const version of ['v1', 'v2']) {
  t.test(`a target learns by PROXY ${version} who its client is and whom it dialled`, async (t) => {
    const clients: { from: string; to: string; listen: string }[] = [
      { from: '127.0.0.1', to: '127.0.0.1', listen: '127.0.0.1:0' },
      { from: '127.0.0.5', to: '127.0.0.6', listen: '0.0.0.0:0' },
      { from: '::1', to: '::1', listen: '[::]:0' },
    ]
    for (const { from, to, listen } of clients) {
      const announced: Promise<Announced>[] = []
      const target = await TcpTarget.start(t, (socket) => announced.push(readAnnounced(socket)))
      const config = onePair('tcp', [target.address], { listener: { listen }, group: { proxyProtocol: version } })
      const castor = await startBalancer(t, config, { accessLog: true })
      const client = await dial(castor.port, { host: to, localAddress: from })
      const { localPort } = client
      const answer = readAll(client)
      client.end('the first bytes')
      t.equal(String(await answer), 'done')
      const family = from.includes(':') ? 6 : 4
      const found = await announced[0]!
      t.match(found, {
        source: { family, address: from, port: localPort },
        destination: { family, address: to, port: castor.port },
        rest: 'the first bytes',
        firstByte: version === 'v1' ? 'P'.charCodeAt(0) : 0x0d,
      })
      const [record] = await castor.accessRecords(1)
      if (version === 'v2') t.equal(found.uniqueId, record!.request_id, 'the unique id is the one in the log')
    }
  })

  t.test(`nginx understands the PROXY ${version} header`, async (t) => {
    const program = toolOrSkip(t, 'nginx')
    if (program === undefined) return
    const says = '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port'
    const address = await startNginx(t, program, `location / { return 200 "${says}"; }`, 'proxy_protocol')
    const castor = await startBalancer(t, onePair('tcp', [address], { group: { proxyProtocol: version } }))
    const client = await dial(castor.port, { localAddress: '127.0.0.7' })
    const answer = readAll(client)
    client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n')
    const { localPort } = client
    t.match(String(await answer), `\r\n\r\n127.0.0.7 ${localPort} 127.0.0.1 ${castor.port}`)
  })
}

t.test('a target tried after another refused gets the header, too', async (t) => {
  const announced: Promise<Announced>[] = []
  const target = await TcpTarget.start(t, (socket) => announced.push(readAnnounced(socket)))
  const castor = await startBalancer(
    t,
    onePair('tcp', ['127.0.0.1:1', target.address], {
      group: { proxyProtocol: 'v2', retries: { attempts: 1, budgetPercent: 100 } },
    }),
  )
  for (let i = 0; i < 2; i++) {
    const client = await dial(castor.port)
    const { localPort } = client
    client.end('hello')
    await once(client.resume(), 'end')
    t.match(await announced[i], { source: { address: '127.0.0.1', port: localPort }, rest: 'hello' })
  }
})
