import { constants } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { checkAgreed } from '../../../bench/load/agreed.js'
import { parseH2load } from '../../../bench/load/h2load.js'
import type { HandshakesOptions } from '../../../bench/load/handshakes.js'
import type { IdleResult } from '../../../bench/load/idle.js'
import type { HttpLoadOptions, LoadResult } from '../../../bench/load/load.js'
import { order, orderOnce } from '../../../bench/order.js'
import { makeCertificate } from '../../../bench/proxies/certificate.js'
import { toolOrSkip } from '../../tools.js'

/** A server that answers all with 200, and how many of its handshakes went on with an earlier session. */
async function server(
  t: Test,
  tickets: boolean,
  rules: TlsOptions = {},
): Promise<{ port: number; counts: { full: number; resumed: number } }> {
  const { certificate, key } = makeCertificate(t.testdir({}))
  const counts = { full: 0, resumed: 0 }
  const secureOptions = tickets ? 0 : constants.SSL_OP_NO_TICKET
  const made = createServer(
    { cert: readFileSync(certificate), key: readFileSync(key), secureOptions, ...rules },
    (_, answer) => answer.end('ok'),
  )
  made.on('secureConnection', (socket) => {
    if (socket.isSessionReused()) counts.resumed++
    else counts.full++
  })
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  t.teardown(() => {
    made.closeAllConnections()
    made.close()
  })
  return { port: (made.address() as AddressInfo).port, counts }
}

const handshakes = (port: number, resume: boolean): Promise<LoadResult> =>
  orderOnce<HandshakesOptions, LoadResult>(
    'load/handshakes',
    { port, connections: 2, seconds: 1, path: '/', resume },
    1,
    15_000,
  )

t.test('loads over TLS', async (t) => {
  if (toolOrSkip(t, 'openssl') === undefined) return

  await t.test('full handshakes are full, each with a request', async (t) => {
    const { port, counts } = await server(t, true)
    const { requests, errors } = await handshakes(port, false)
    t.equal(errors, 0)
    t.ok(requests > 2, `${requests} handshakes`)
    t.same(counts, { full: requests, resumed: 0 })
  })

  await t.test('resumed ones go on with the session before, after one full one on each connection', async (t) => {
    const { port, counts } = await server(t, true)
    const { requests, errors } = await handshakes(port, true)
    t.equal(errors, 0)
    t.same(counts, { full: 2, resumed: requests - 2 })
  })

  await t.test('where nothing can be resumed that is an error', async (t) => {
    const { port, counts } = await server(t, false)
    const { requests, errors } = await handshakes(port, true)
    t.equal(counts.resumed, 0)
    t.equal(requests, 2, 'the first on each connection')
    t.ok(errors > 0, `${errors} errors`)
  })

  const alike = { ciphers: 'TLS_AES_128_GCM_SHA256', ecdhCurve: 'X25519' }
  await t.test('who comes to another suite, curve or version takes no part', async (t) => {
    await checkAgreed((await server(t, true, alike)).port)
    const others: [TlsOptions, RegExp][] = [
      [{ ciphers: 'TLS_AES_256_GCM_SHA384' }, /AES_256/],
      [{ ecdhCurve: 'P-256' }, /prime256v1/],
      [{ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }, /TLSv1\.2/],
    ]
    for (const [rules, message] of others) {
      const { port } = await server(t, true, { ...alike, ...rules })
      await t.rejects(checkAgreed(port), { message })
    }
  })

  await t.test('kept connections, and idle ones', async (t) => {
    const { port, counts } = await server(t, true)
    const request = { path: '/', bodyBytes: 0, closeEach: false, secure: true }
    const options: HttpLoadOptions = { port, connections: 2, seconds: 1, request }
    const { requests, errors } = await orderOnce<HttpLoadOptions, LoadResult>('load/autocannon', options, 1, 15_000)
    t.equal(errors, 0)
    t.ok(requests > 2, `${requests} requests`)
    t.equal(counts.full + counts.resumed, 2)
    const idle = { port, connections: 20, path: '/', secure: true }
    const { process: holder, answer } = await order<typeof idle, IdleResult>('load/idle', idle, 1, 15_000)
    t.same(answer, { opened: 20, errors: 0 })
    await holder.stop()
  })
})

const summary = (protocol: string, failed: number, good: number, bad: number): string => `
Application protocol: ${protocol}
finished in 2.00s, 3000.00 req/s, 600.00KB/s
requests: ${good + bad} total, ${good + bad} started, ${good + bad} done, ${good} succeeded, ${failed} failed, ${failed} errored, 0 timeout
status codes: ${good} 2xx, 0 3xx, 0 4xx, ${bad} 5xx
`

t.test("h2load's output", async (t) => {
  t.same(parseH2load(summary('h2', 0, 6000, 0)), { requests: 6000, errors: 0 })
  t.same(parseH2load(summary('h2', 2, 10, 3)), { requests: 10, errors: 7 }, 'all that went wrong adds up')
  t.throws(() => parseH2load(summary('http/1.1', 0, 10, 0)), { message: /did not speak HTTP\/2/ })
  t.throws(() => parseH2load('Application protocol: h2\n'), { message: /no total/ })
})
