import { once } from 'node:events'
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import t from 'tap'
import { startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { eventually, within } from './support/waiting.js'

const same = (value: Buffer): Buffer => value
const method = (name: string, streams: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
const ECHO = {
  unary: method('Unary', false),
  refuse: method('Refuse', false),
  chat: method('Chat', true),
} satisfies ServiceDefinition

interface Call {
  readonly method: string
  readonly said: string
  readonly metadata: Metadata
}

function metadataOf(fields: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return metadata
}

const ENDS = { 'x-trailer': 'at the end', 'x-secret': 'in the trailers' }

/** `hangs`: it takes every call, and answers none. */
async function startServer(t: Test, hangs = false): Promise<{ readonly address: string; readonly calls: Call[] }> {
  const calls: Call[] = []
  const unary: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    calls.push({ method: 'Unary', said: String(call.request), metadata: call.metadata })
    if (hangs) return
    call.sendMetadata(metadataOf({ 'x-secret': 'at the beginning', 'x-own': '1' }))
    callback(null, call.request, metadataOf(ENDS))
  }
  const refuse: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    calls.push({ method: 'Refuse', said: String(call.request), metadata: call.metadata })
    if (!hangs)
      callback({ code: status.FAILED_PRECONDITION, details: 'ünwilling', metadata: metadataOf({ 'x-trailer': '1' }) })
  }
  const chat: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    let said = ''
    call.on('data', (data: Buffer) => {
      said += String(data)
      if (!hangs) call.write(Buffer.from(`re: ${data}`))
    })
    call.on('end', () => {
      calls.push({ method: 'Chat', said, metadata: call.metadata })
      if (!hangs) call.end(metadataOf(ENDS))
    })
  }
  const server = new Server()
  server.addService(ECHO, { unary, refuse, chat })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  t.teardown(() => server.forceShutdown())
  return { address: `127.0.0.1:${port}`, calls }
}

t.test('gRPC calls are rewritten, edited and mirrored, and their trailers stay whole', async (t) => {
  const [main, shadow] = [await startServer(t), await startServer(t, true)]
  const group = (name: string, address: string) => ({ name, protocol: 'h2c', targets: [{ address }] })
  const { port } = await startBalancer(t, {
    workers: 1,
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        http2: true,
        listen: '127.0.0.1:0',
        targetGroup: 'main',
        rules: [
          {
            match: { path: '/public.Echo/*' },
            forward: 'main',
            mirror: 'shadow',
            rewrite: { path: '/test.Echo/*' },
            requestHeaders: { set: { 'x-tier': 'gold', 'x-said': '<${header.x-a}|${path}>' }, remove: ['x-debug'] },
            responseHeaders: { set: { 'x-by': '${target_group}' }, remove: ['x-secret'] },
          },
        ],
      },
    ],
    targetGroups: [group('main', main.address), group('shadow', shadow.address)],
  })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const asked = metadataOf({ 'x-a': 'a', 'x-debug': '1', 'x-tier': 'mine' })

  const ask = async (name: string, said: string) => {
    let head: Metadata | undefined
    let end: Metadata | undefined
    const answered = new Promise<{ readonly error: ServiceError | null; readonly value: string }>((resolve) => {
      const call = client.makeUnaryRequest(
        `/public.Echo/${name}`,
        same,
        same,
        Buffer.from(said),
        asked,
        (error, value) => {
          setImmediate(() => resolve({ error, value: String(value) }))
        },
      )
      call.on('metadata', (metadata) => {
        head = metadata
      })
      call.on('status', ({ metadata }) => {
        end = metadata
      })
    })
    return { ...(await within('an answer', answered)), head: head?.getMap(), end: end?.getMap() }
  }
  // The mirror takes every call and answers none: nothing waits for it.
  const unary = await ask('Unary', 'x'.repeat(10_000))
  t.equal(unary.error, null)
  t.equal(unary.value, 'x'.repeat(10_000))
  t.match(unary.head, { 'x-by': 'main', 'x-own': '1', 'x-secret': undefined })
  t.match(unary.end, { 'x-trailer': 'at the end', 'x-secret': undefined })

  const refused = await ask('Refuse', 'please')
  t.match(refused.error, { code: status.FAILED_PRECONDITION, details: 'ünwilling' })
  t.equal(refused.error?.metadata.getMap()['x-trailer'], '1', 'trailers alone')

  const chat = client.makeBidiStreamRequest('/public.Echo/Chat', same, same, asked)
  const heads: Metadata[] = []
  chat.on('metadata', (metadata: Metadata) => heads.push(metadata))
  for (const said of ['one', 'two', 'three']) {
    chat.write(Buffer.from(said))
    const [data] = await within('a message', once(chat, 'data'))
    t.equal(String(data), `re: ${said}`, 'while the call goes on')
  }
  const ended = within('its end', once(chat, 'status'))
  chat.end()
  chat.resume()
  const [end] = (await ended) as [{ readonly code: number; readonly metadata: Metadata }]
  t.equal(end.code, status.OK)
  t.match(end.metadata.getMap(), { 'x-trailer': 'at the end', 'x-secret': undefined })
  t.match(heads[0]?.getMap(), { 'x-by': 'main', 'x-secret': undefined })

  await eventually('all calls at the mirror', () => shadow.calls.length === 3)
  const seen = (calls: readonly Call[]) =>
    calls
      .map(({ method, said, metadata }) => {
        const { 'x-tier': tier, 'x-said': template, 'x-debug': debug, 'x-a': a } = metadata.getMap()
        return { method, said, tier, template, debug, a }
      })
      .sort((one, other) => one.method.localeCompare(other.method))
  const expected = [
    { method: 'Chat', said: 'onetwothree' },
    { method: 'Refuse', said: 'please' },
    { method: 'Unary', said: 'x'.repeat(10_000) },
  ].map((call) => ({
    ...call,
    tier: 'gold',
    template: `<a|/public.Echo/${call.method}>`,
    debug: undefined,
    a: 'a',
  }))
  t.same(seen(main.calls), expected)
  t.same(seen(shadow.calls), expected, 'the mirror gets the same')
})
