import { once } from 'node:events'
import { createServer as createHttp1, request } from 'node:http'
import { connect, createServer as createHttp2, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import t from 'tap'
import { startBalancer } from './support/balancer.js'

const KIB = 1_024
/** The largest that the check takes, less room for the start line, names, and what peers and Castor add. */
const VALUES = 120
const headers = (): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: VALUES }, (_, i) => [`x-large-${String(i).padStart(3, '0')}`, 'v'.repeat(KIB - 2 - 16)]),
  )
const countOf = (received: Record<string, unknown>): number =>
  Object.entries(received).filter(([name, value]) => name.startsWith('x-large-') && String(value).length === KIB - 18)
    .length

async function listening(t: { teardown(end: () => unknown): unknown }, server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('heads up to the largest maxHeaderBytes pass whole, both ways, in every version', async (t) => {
  const seen: number[] = []
  const one = createHttp1({ maxHeaderSize: 1024 * KIB }, (asked, answer) => {
    seen.push(countOf(asked.headers))
    answer.writeHead(200, headers()).end('ok')
  })
  const two = createHttp2({
    settings: { maxHeaderListSize: 1024 * KIB },
    maxHeaderListPairs: 1_000,
    maxSendHeaderBlockLength: 1024 * KIB,
  })
  two.on('request', (asked, answer) => {
    seen.push(countOf(asked.headers))
    answer.writeHead(200, headers())
    answer.end('ok')
  })
  const addresses = { http: await listening(t, one), h2c: await listening(t, two) }
  for (const protocol of ['http', 'h2c'] as const) {
    const balancer = await startBalancer(t, {
      workers: 1,
      protection: { maxHeaderBytes: '128KiB', maxHeaders: 200 },
      listeners: [{ name: 'in', protocol: 'http', http2: true, listen: '127.0.0.1:0', targetGroup: 'app' }],
      targetGroups: [{ name: 'app', protocol, targets: [{ address: addresses[protocol] }] }],
    })
    const answer = await new Promise<{ status: number; count: number }>((resolve, reject) => {
      request(
        { host: '127.0.0.1', port: balancer.port, headers: headers(), maxHeaderSize: 1024 * KIB, agent: false },
        (got) => {
          resolve({ status: got.resume().statusCode!, count: countOf(got.headers) })
        },
      )
        .on('error', reject)
        .end()
    })
    t.same(answer, { status: 200, count: VALUES }, `HTTP/1.1 → ${protocol}`)
    const session = connect(`http://127.0.0.1:${balancer.port}`, {
      settings: { maxHeaderListSize: 1024 * KIB },
      maxHeaderListPairs: 1_000,
      maxSendHeaderBlockLength: 1024 * KIB,
    })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/', ...headers() })
    const [got] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
    t.same({ status: got[':status'], count: countOf(got) }, { status: 200, count: VALUES }, `HTTP/2 → ${protocol}`)
    session.close()
  }
  t.same(seen, Array(4).fill(VALUES))
})
