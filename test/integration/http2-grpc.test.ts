import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import t from 'tap'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { authorityFor, secured } from './support/tls.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const authority = authorityFor(t)
const front = authority.issue('front', { names: ['grpc.example'] })
const back = authority.issue('back', { names: ['127.0.0.1'] })

const bytes = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
}
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  ...bytes,
})
const ECHO = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  count: method('Count', false, true),
  chat: method('Chat', true, true),
  refuse: method('Refuse', false, false),
  hang: method('Hang', false, false),
} satisfies ServiceDefinition

interface Setting {
  readonly castor: TestCastor
  readonly client: Client
  readonly calls: { readonly metadata: Metadata; cancelled: boolean }[]
}

/** A gRPC client, the balancer, and a gRPC server: in clear, or with TLS from one to the next, verified. */
async function setting(t: Test, secure = false): Promise<Setting> {
  const calls: { metadata: Metadata; cancelled: boolean }[] = []
  const unary: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    calls.push({ metadata: call.metadata, cancelled: false })
    const trailer = new Metadata()
    trailer.set('x-trailer', 'at the end')
    callback(null, call.request, trailer)
  }
  const collect: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
    const parts: Buffer[] = []
    call.on('data', (data: Buffer) => parts.push(data))
    call.on('end', () => callback(null, Buffer.concat(parts)))
  }
  const count: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    for (let i = 0; i < Number(call.request.toString()); i++) call.write(Buffer.from(String(i)))
    call.end()
  }
  const chat: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (data: Buffer) => call.write(Buffer.from(`re: ${data}`)))
    call.on('end', () => call.end())
  }
  const refuse: handleUnaryCall<Buffer, Buffer> = (_, callback) =>
    callback({ code: status.FAILED_PRECONDITION, details: 'ünwilling' })
  const hang: handleUnaryCall<Buffer, Buffer> = (call) => {
    const entry = { metadata: call.metadata, cancelled: false }
    calls.push(entry)
    call.on('cancelled', () => {
      entry.cancelled = true
    })
  }
  const server = new Server()
  server.addService(ECHO, { unary, collect, count, chat, refuse, hang })
  const port = await new Promise<number>((resolve, reject) => {
    const shown = { cert_chain: readFileSync(back.cert), private_key: readFileSync(back.key) }
    const shows = secure ? ServerCredentials.createSsl(null, [shown]) : ServerCredentials.createInsecure()
    server.bindAsync('127.0.0.1:0', shows, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  t.teardown(() => server.forceShutdown())
  const castor = await startTestCastor(t, [`127.0.0.1:${port}`], {
    listener: secure ? secured([front]) : { http2: true },
    group: secure ? { protocol: 'h2', tls: { ca: authority.cert } } : { protocol: 'h2c' },
    // A dialogue may pause: this is not for it.
    protection: { bodyMinRate: '100KiB/s' },
    accessLog: true,
  })
  const trusts = secure ? credentials.createSsl(readFileSync(authority.cert)) : credentials.createInsecure()
  const client = new Client(`127.0.0.1:${castor.port}`, trusts, { 'grpc.ssl_target_name_override': 'grpc.example' })
  t.teardown(() => client.close())
  return { castor, client, calls }
}

const same = (value: Buffer): Buffer => value

function callUnary(client: Client, name: 'Unary' | 'Refuse' | 'Hang', request: Buffer, deadlineMs = 60_000) {
  return new Promise<{ error: ServiceError | null; value?: Buffer; trailers?: Metadata }>((resolve) => {
    let trailers: Metadata | undefined
    const call = client.makeUnaryRequest(
      `/test.Echo/${name}`,
      same,
      same,
      request,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, value) =>
        setImmediate(() =>
          resolve({
            error,
            ...(value === undefined ? {} : { value }),
            ...(trailers === undefined ? {} : { trailers }),
          }),
        ),
    )
    call.on('status', (end) => {
      trailers = end.metadata
    })
  })
}

for (const secure of [false, true]) {
  const over = secure ? ', over TLS on both sides' : ''

  t.test(`unary calls of many sizes, with trailers${over}`, async (t) => {
    const { castor, client, calls } = await setting(t, secure)
    for (const size of [0, 1, 10_000, 1_000_000]) {
      const { error, value, trailers } = await callUnary(client, 'Unary', Buffer.alloc(size, 'x'))
      t.equal(error, null, `${size} bytes`)
      t.equal(value?.length, size)
      t.same(trailers?.get('x-trailer'), ['at the end'])
    }
    t.same(calls[0]!.metadata.get('x-forwarded-for'), ['127.0.0.1'])
    const [record] = await castor.accessRecords(4)
    t.match(record, { protocol: 'HTTP/2.0', method: 'POST', uri: '/test.Echo/Unary', status: 200 })
    t.equal(record!.scheme, secure ? 'https' : 'http')
  })

  t.test(`many calls at once${over}`, async (t) => {
    const { client } = await setting(t, secure)
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, i) => callUnary(client, 'Unary', Buffer.from(String(i)))),
    )
    t.same(
      results.map(({ value }) => value?.toString()),
      results.map((_, i) => String(i)),
    )
  })

  t.test(`a client that streams${over}`, async (t) => {
    const { client } = await setting(t, secure)
    const result = new Promise<Buffer>((resolve, reject) => {
      const call = client.makeClientStreamRequest('/test.Echo/Collect', same, same, (error, value) =>
        error === null ? resolve(value!) : reject(error),
      )
      for (let i = 0; i < 200; i++) call.write(Buffer.alloc(1_000, i))
      call.end()
    })
    t.equal((await within('an answer', result)).length, 200_000)
  })

  t.test(`a server that streams${over}`, async (t) => {
    const { client } = await setting(t, secure)
    const call = client.makeServerStreamRequest('/test.Echo/Count', same, same, Buffer.from('500'))
    let count = 0
    for await (const part of call) if (Number(String(part)) === count) count++
    t.equal(count, 500)
  })

  t.test(`a dialogue goes back and forth, however slowly${over}`, async (t) => {
    const { client } = await setting(t, secure)
    const call = client.makeBidiStreamRequest('/test.Echo/Chat', same, same)
    for (let i = 0; i < 5; i++) {
      call.write(Buffer.from(String(i)))
      const [data] = await within('a message', once(call, 'data'))
      t.equal(String(data), `re: ${i}`)
      // Longer than a body that is too slow would be borne: this one is looked at every second.
      if (i === 2 && !secure) await new Promise((resolve) => setTimeout(resolve, 2_500))
    }
    call.end()
    call.resume()
    const [end] = await within('its end', once(call, 'status'))
    t.equal(end.code, status.OK)
  })

  t.test(`an error that comes in trailers only${over}`, async (t) => {
    const { client } = await setting(t, secure)
    const { error } = await callUnary(client, 'Refuse', Buffer.from('x'))
    t.equal(error?.code, status.FAILED_PRECONDITION)
    t.equal(error?.details, 'ünwilling')
  })
}

t.test('a method that is not there', async (t) => {
  const { client } = await setting(t)
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest('/test.Echo/Nothing', same, same, Buffer.from(''), (failure) => resolve(failure))
  })
  t.equal(error?.code, status.UNIMPLEMENTED)
})

t.test('a deadline that passes is told to the server', async (t) => {
  const { castor, client, calls } = await setting(t)
  const { error } = await callUnary(client, 'Hang', Buffer.from('x'), 300)
  t.equal(error?.code, status.DEADLINE_EXCEEDED)
  await until('the server hears that the call was cancelled', () => calls[0]!.cancelled)
  const [record] = await castor.accessRecords(1)
  t.match(record, { status: 499, reason: 'CLIENT_RESET' })
})

t.test('without a target a call fails as unavailable', async (t) => {
  const castor = await startTestCastor(t, ['127.0.0.1:1'], { listener: { http2: true }, group: { protocol: 'h2c' } })
  const client = new Client(`127.0.0.1:${castor.port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const { error } = await callUnary(client, 'Unary', Buffer.from('x'))
  t.equal(error?.code, status.UNAVAILABLE)
})
