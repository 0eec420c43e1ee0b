import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import autocannon from 'autocannon'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { toolOrSkip } from '../tools.js'
import { startTestCastor, type TestCastor } from './support/castor.js'
import { timed, within } from './support/waiting.js'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A `node:http` server that says what it was asked, behind a balancer. */
async function before(t: Test, workers = 1): Promise<{ castor: TestCastor; server: Server }> {
  const server = createServer((request, response) => {
    const hash = createHash('sha256')
    let bytes = 0
    request.on('data', (data: Buffer) => {
      bytes += data.length
      hash.update(data)
    })
    request.on('end', () => {
      const text = JSON.stringify({
        method: request.method,
        url: request.url,
        expect: request.headers.expect,
        framing: request.headers['transfer-encoding'] ?? request.headers['content-length'],
        bytes,
        hash: hash.digest('hex'),
      })
      response.setHeader('content-type', 'application/json')
      if (request.url?.includes('length') === true) response.setHeader('content-length', Buffer.byteLength(text))
      response.end(text)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const castor = await startTestCastor(t, [`127.0.0.1:${(server.address() as AddressInfo).port}`], { workers })
  return { castor, server }
}

interface Told {
  readonly method: string
  readonly url: string
  readonly expect?: string
  readonly framing?: string
  readonly bytes: number
  readonly hash: string
}

t.test('curl', async (t) => {
  const curl = toolOrSkip(t, 'curl')
  if (curl === undefined) return
  const { castor } = await before(t)
  const run = async (args: string[], input?: Uint8Array): Promise<string> => {
    const child = spawn(curl, ['-sS', '--max-time', '10', '--noproxy', '*', ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => {
      stdout += String(data)
    })
    child.stderr.on('data', (data) => {
      stderr += String(data)
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const [code] = await once(child, 'close')
    t.equal(code, 0, `curl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const told = async (args: string[], input?: Uint8Array): Promise<Told> => JSON.parse(await run(args, input)) as Told
  const body = randomBytes(3 * 1024 * 1024)

  t.match(await told([`${castor.url}/a?b=c`]), { method: 'GET', url: '/a?b=c', bytes: 0 })
  t.match(await told(['--http1.0', `${castor.url}/old`]), { method: 'GET', url: '/old' })
  t.match(await told(['--http1.0', `${castor.url}/old/length`]), { url: '/old/length' })
  t.match(await told(['-d', 'a=b', `${castor.url}/form`]), { method: 'POST', bytes: 3, framing: '3' })
  t.match(await run(['-I', `${castor.url}/head`]), /^HTTP\/1\.1 200 OK\r\n/)
  t.match(
    await told(['-T', '-', '-H', 'Content-Length: 3145728', '-H', 'Transfer-Encoding:', `${castor.url}/put`], body),
    { method: 'PUT', bytes: body.length, hash: digest(body) },
  )
  t.match(await told(['-T', '-', `${castor.url}/chunked`], body), {
    method: 'PUT',
    framing: 'chunked',
    bytes: body.length,
    hash: digest(body),
  })
  const expecting = await told(
    ['--data-binary', '@-', '-H', 'Expect: 100-continue', '--expect100-timeout', '5', `${castor.url}/expect`],
    body,
  )
  t.match(expecting, { method: 'POST', expect: '100-continue', bytes: body.length, hash: digest(body) })
  const connects = await run([
    ...['-w', '%{num_connects}', '-o', '/dev/null', `${castor.url}/1`],
    ...['-o', '/dev/null', `${castor.url}/2/length`],
  ])
  t.equal(connects, '10', 'the second goes over the connection of the first')
})

t.test('undici with ten requests pipelined', async (t) => {
  const { castor } = await before(t, 2)
  const pool = new Pool(castor.url, { connections: 4, pipelining: 10 })
  t.teardown(() => pool.destroy())
  const total = 1_000
  await Promise.all(
    Array.from({ length: total }, async (_, i) => {
      const body = i % 3 === 0 ? randomBytes(i * 10) : undefined
      const { statusCode, body: answer } = await pool.request({
        path: `/${i}${i % 2 === 0 ? '/length' : ''}`,
        method: body === undefined ? 'GET' : 'PUT',
        ...(body === undefined ? {} : { body, idempotent: true }),
      })
      const told = (await answer.json()) as Told
      const right = statusCode === 200 && told.url.startsWith(`/${i}`) && told.bytes === (body?.length ?? 0)
      if (!right || told.hash !== digest(body ?? Buffer.alloc(0))) t.fail(`request ${i}: ${JSON.stringify(told)}`)
    }),
  )
  const metrics = await castor.metrics()
  t.equal(metrics.get('castor_requests_total{listener="web",target_group="app",code="200"}'), total)
  t.equal(metrics.get('castor_connections_total{listener="web"}'), 4)
})

t.test('autocannon sees no error', async (t) => {
  const { castor } = await before(t, 2)
  const result = await autocannon({
    url: `${castor.url}/length`,
    connections: 20,
    pipelining: 2,
    duration: 2,
    timeout: 2,
  })
  t.match(result, { errors: 0, timeouts: 0, non2xx: 0, mismatches: 0, resets: 0 })
  t.ok(result['2xx'] > 200, `${result['2xx']} answers`)
})

t.test('the agent of node:http keeps its connections, and none of its requests fails', async (t) => {
  const { castor, server } = await before(t)
  let connections = 0
  server.on('connection', () => connections++)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const body = randomBytes(20_000)
  const one = (i: number): Promise<Told> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port: castor.port, path: `/${i}`, method: i % 2 === 0 ? 'POST' : 'GET', agent },
        (response: IncomingMessage) => {
          let text = ''
          response.on('data', (data) => {
            text += String(data)
          })
          response.on('end', () => resolve(JSON.parse(text) as Told))
          response.on('error', reject)
        },
      )
      request.on('error', reject)
      // Written in two parts without a length: chunked.
      if (i % 2 === 0) {
        request.write(body.subarray(0, 9_999))
        request.end(body.subarray(9_999))
      } else request.end()
    })
  const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => one(i)))
  for (const [i, { url, bytes, hash }] of answers.entries()) {
    const right = url === `/${i}` && (i % 2 === 0 ? bytes === body.length && hash === digest(body) : bytes === 0)
    if (!right) t.fail(`request ${i}: ${url}, ${bytes} bytes`)
  }
  t.ok(connections <= 16, `${connections} connections to the target for 400 requests`)
  t.equal((await castor.metrics()).get('castor_connections_total{listener="web"}'), 8)
})

t.test('a target that answers while it is still being sent to', async (t) => {
  const server = createServer((request, response) => request.pipe(response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const castor = await startTestCastor(t, [`127.0.0.1:${(server.address() as AddressInfo).port}`])
  const block = randomBytes(64 * 1024)
  const blocks = 200
  const sent = createHash('sha256')
  const request = httpRequest({ host: '127.0.0.1', port: castor.port, method: 'POST', agent: false })
  const answered = once(request, 'response')
  // Each block is written when the one before it has come back: neither direction waits for the other to end.
  request.flushHeaders()
  let written = 0
  const writeNext = (): void => {
    if (written === blocks) request.end()
    else {
      written++
      sent.update(block)
      request.write(block)
    }
  }
  writeNext()
  const [response] = (await answered) as [IncomingMessage]
  const got = createHash('sha256')
  let bytes = 0
  response.on('data', (data: Buffer) => {
    got.update(data)
    bytes += data.length
    if (bytes === written * block.length) writeNext()
  })
  await within('the end of the echo', once(response, 'end'), 10_000)
  t.equal(bytes, blocks * block.length)
  t.equal(got.digest('hex'), sent.digest('hex'))
})

t.test('a node:http target’s patience with idle connections is respected', async (t) => {
  const { castor, server } = await before(t)
  server.keepAliveTimeout = 2_000
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  const response = await fetch(`${castor.url}/`)
  await response.text()
  const { ms } = await timed(within('the balancer closes it', once(sockets[0]!, 'close')))
  t.ok(ms > 700 && ms < 1_900, `after ${Math.round(ms)} ms of the two seconds that the target would have waited`)
})
