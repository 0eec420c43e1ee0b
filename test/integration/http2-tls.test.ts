import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, constants, createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { startTestCastor, type Test } from './support/castor.js'
import { ask, Http2Target } from './support/http2-peers.js'
import { ok, RawTarget } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'
import { within } from './support/waiting.js'

const run = promisify(execFile)
const authority = authorityFor(t)
const front = authority.issue('front', { names: ['web.example'] })
const back = authority.issue('back', { names: ['127.0.0.1'] })

/** A target that speaks HTTP/2 over TLS, and nothing else. */
async function secureTarget(t: Test): Promise<string> {
  const server = createSecureServer({ cert: readFileSync(back.cert), key: readFileSync(back.key) })
  server.on('session', (session) => t.teardown(() => session.destroy()))
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'x-scheme': headers[':scheme'], 'x-proto': headers['x-forwarded-proto'] })
    stream.pipe(stream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a client chooses its version by ALPN', async (t) => {
  const target = await RawTarget.start({ answer: (request, connection) => void connection.write(ok(request.method)) })
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], { listener: secured([front]), accessLog: true })
  for (const [flag, version] of [
    ['--http2', '2'],
    ['--http1.1', '1.1'],
  ] as const) {
    const url = `https://127.0.0.1:${castor.port}/`
    const { stdout } = await run('curl', ['-sk', '-m', '10', flag, '-w', ' %{http_version}', url])
    t.equal(stdout, `GET ${version}`)
  }
  const records = await castor.accessRecords(2)
  t.match(records, [
    { protocol: 'HTTP/2.0', scheme: 'https', status: 200 },
    { protocol: 'HTTP/1.1', scheme: 'https', status: 200 },
  ])
  t.match(records[0]!.tls_version, /^TLSv1\.[23]$/)
  t.equal(target.requests[0]!.header('x-forwarded-proto'), 'https')
})

t.test('h2load over TLS, and no HTTP/2 where it is off', async (t) => {
  const target = await Http2Target.start(t)
  const group = { protocol: 'h2c' }
  const castor = await startTestCastor(t, [target.address], { listener: secured([front]), group })
  const { stdout } = await run('h2load', ['-n', '1000', '-c', '2', '-m', '100', `https://127.0.0.1:${castor.port}/`])
  t.match(stdout, / 1000 succeeded, 0 failed, 0 errored, 0 timeout/)
  t.match(stdout, /Application protocol: h2/)
  const off = await startTestCastor(t, [target.address], { listener: secured([front], {}, { http2: false }), group })
  const url = `https://127.0.0.1:${off.port}/`
  t.equal(
    (await run('curl', ['-sk', '-m', '10', '--http2', '-o', '/dev/null', '-w', '%{http_version}', url])).stdout,
    '1.1',
  )
})

t.test('nghttp over TLS takes what it is given', async (t) => {
  const nghttp = toolOrSkip(t, 'nghttp')
  if (nghttp === undefined) return
  const target = await Http2Target.start(t)
  const castor = await startTestCastor(t, [target.address], {
    listener: secured([front]),
    group: { protocol: 'h2c' },
  })
  const { stdout } = await run(nghttp, [`https://127.0.0.1:${castor.port}/n`])
  t.equal(stdout, 'hello /n')
})

t.test('a target that speaks HTTP/2 over TLS', async (t) => {
  const group = { protocol: 'h2', tls: { ca: authority.cert } }
  const castor = await startTestCastor(t, [await secureTarget(t)], { listener: secured([front]), group })
  const session = connect(`https://127.0.0.1:${castor.port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await within('a connection', once(session, 'connect'))
  const body = Buffer.alloc(300_000, 'x')
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session, { ':method': 'POST' }, body)))
  for (const answer of answers) {
    t.same([answer.status, answer.headers['x-scheme'], answer.headers['x-proto']], [200, 'https', 'https'])
    t.ok(answer.body.equals(body))
  }
})

t.test('a target whose certificate does not verify gets no request', async (t) => {
  const castor = await startTestCastor(t, [await secureTarget(t)], {
    listener: { http2: true },
    group: { protocol: 'h2' },
  })
  const { stdout } = await run('curl', [
    ...['-s', '-m', '10', '--http2-prior-knowledge', '-o', '/dev/null', '-w', '%{http_code}'],
    castor.url,
  ])
  t.equal(stdout, '502')
})

t.test('a cipher that RFC 9113 forbids ends the connection with the word for it', async (t) => {
  const target = await RawTarget.start({ answer: (request, connection) => void connection.write(ok(request.method)) })
  t.teardown(() => target.stop())
  const policy = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM:ECDHE+AES' }
  const castor = await startTestCastor(t, [target.address], { listener: secured([front], { policy }) })
  const goAway = async (ciphers: string): Promise<number> => {
    const session = connect(`https://127.0.0.1:${castor.port}`, { rejectUnauthorized: false, ciphers })
    session.on('error', () => {})
    t.teardown(() => session.destroy())
    const heard = once(session, 'goaway').then(([code]) => code as number)
    const answered = once(
      session.request({ ':path': '/' }).on('error', () => {}),
      'response',
    ).then(() => -1)
    return within('an answer or a farewell', Promise.race([heard, answered]))
  }
  t.equal(await goAway('ECDHE-ECDSA-AES128-SHA256'), constants.NGHTTP2_INADEQUATE_SECURITY)
  t.equal(await goAway('ECDHE-ECDSA-AES128-GCM-SHA256'), -1)
})
