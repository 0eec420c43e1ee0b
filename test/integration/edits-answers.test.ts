import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { FieldList } from '../../src/http/h2/field-list.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { HpackDecoder } from '../../src/http/h2/hpack-decoder.js'
import { escapeBytes } from '../fuzz/escapes.js'
import { readResponses } from '../fuzz/llhttp.js'
import { END, type Field, fieldsOf, frame, headers, PREFACE, SETTINGS_ACK, settings } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test } from './support/castor.js'
import { answerTo, inTurns } from './support/http2-exchange.js'
import { wholeFrames } from './support/http2-raw.js'
import { RawClient } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { valuesIn } from './support/strict-targets.js'

/** Every answer is edited, and written back from `/v2/*` of the host `t` to `/*` of the client's. */
const RULE = {
  match: { path: '/*' },
  forward: 'app',
  rewrite: { path: '/v2/*', host: 't', responses: true },
  responseHeaders: {
    set: { 'x-edited': '<${header.x-a}|${target}>' },
    add: { 'set-cookie': 'own=1; Path=/v2/' },
    remove: ['x-gone'],
  },
}
const HOST = 'h.example'
const LONG_HOST = `${'h'.repeat(240)}.example`

/** What a target may say in a value. */
const VALUES: readonly string[] = [
  'plain',
  '/evil.example/',
  '//evil.example/',
  '\\evil.example/',
  '\t/evil.example/',
  '\t\\evil.example',
  './/evil.example/',
  '..//evil.example/',
  '?//evil.example/',
  '#x',
  '@evil.example/',
  '%0d%0ax-injected:%201',
  '%00',
  '../x',
  '; Path=/v2/; Domain=t; path="/v2/"; domain=.T',
  ';;;= ; =; Path; Domain=; Path=',
  `;${' '.repeat(9_000)}x`,
  '"',
  'caf\xc3\xa9',
  '\xe5\x98\x8a\xe5\x98\x8d',
  '\x85',
  '\xa0',
  '${path}',
  'a\tb',
  'a,b',
  'a\rX-Injected: 1',
  'a\nX-Injected: 1',
  'a\n X-Injected: 1',
  'a\r\n X-Injected: 1',
  'a\r\n\tX-Injected: 1',
  'a\0b',
  'a\x01b',
  'a\x7f',
]
const PLACES: readonly ((value: string) => Field)[] = [
  (value) => ['location', `/v2/${value}`],
  (value) => ['set-cookie', `a=${value}`],
  (value) => ['x-other', `x${value}`],
]

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const VISIBLE = /^[\t -~\x80-\xff]*$/

interface Case {
  readonly what: string
  /** Of the target. */
  readonly said: string
  /** 502, or what the target said. */
  readonly status: number
  readonly body: string
  readonly host: string
}

const framed = (lines: string, body = 'ok'): string => `${lines}Content-Length: ${body.length}\r\n\r\n${body}`

function http1Cases(allowsBareLf: boolean): readonly Case[] {
  const make = (what: string, said: string, status = 302, body = 'ok', line = '302 Found', host = HOST): Case => ({
    what,
    said: `HTTP/1.1 ${line}\r\n${said}`,
    status,
    body: status === 502 ? '' : body,
    host,
  })
  // Tolerated, a line feed ends a line; with white space behind it, it would be a folded one.
  const breaksLine = allowsBareLf ? /\r(?!\n)|\n[ \t]/ : /\r(?!\n)|(?<!\r)\n|\n[ \t]/
  const values = VALUES.flatMap((value) =>
    PLACES.map((place) => {
      const [name, text] = place(value)
      const refused = breaksLine.test(text) || !VISIBLE.test(text.replace(/[\r\n]/g, ''))
      return make(`${name}: ${escapeBytes(text.slice(0, 60))}`, framed(`${name}: ${text}\r\n`), refused ? 502 : 302)
    }),
  )
  const smuggled = 'HTTP/1.1 200 OK\r\nX-Injected: 1\r\nContent-Length: 2\r\n\r\nno'
  return [
    ...values,
    make('two Locations', framed('Location: /v2//evil.example\r\nLocation: /v2/b\r\n')),
    make('a line that ends the head', `Content-Length: 0\r\nLocation: /v2/a\r\n\r\n${smuggled}`, 302, ''),
    make('an answer behind it', `${framed('Location: /v2/a\r\n')}${smuggled}`),
    make('an answer as its body', framed('Location: /v2/a\r\n', smuggled), 302, smuggled),
    make('a length twice', framed('Content-Length: 2\r\n'), 502),
    make('two lengths', framed('Content-Length: 30\r\n'), 502),
    make('a list of lengths', 'Content-Length: 2, 2\r\n\r\nok', 502),
    make('a length with a sign', 'Content-Length: +2\r\n\r\nok', 502),
    make('a length with a space', 'Content-Length : 2\r\n\r\nok', 502),
    make('a look-alike of a length', framed('Content_Length: 30\r\nTransfer.Encoding: chunked\r\n')),
    make('both framings', framed('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n'), 502),
    make('chunked twice', 'Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 502),
    make('another coding', 'Transfer-Encoding: identity\r\n\r\nok', 502),
    make('chunks', 'Transfer-Encoding: chunked\r\nLocation: /v2/a\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n'),
    make(
      'trailers that the head may not have',
      'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Gone: 1\r\nX_Gone: 1\r\nX-Edited: 1\r\nSet-Cookie: x=y\r\nLocation: /v2/x\r\nContent-Length: 5\r\n\r\n',
    ),
    make('a name with a space', framed('Loca tion: /v2/a\r\n'), 502),
    make('a space before the colon', framed('Location : /v2/a\r\n'), 502),
    make('no name', framed(': a\r\n'), 502),
    make('no colon', framed('Location\r\n'), 502),
    make('a reason with a line end', framed('Location: /v2/a\r\n'), 502, 'ok', '302 a\rX-Injected: 1'),
    make('a reason with NUL', framed('Location: /v2/a\r\n'), 502, 'ok', '302 a\0'),
    make('a reason of any bytes', framed('Location: /v2/a\r\n'), 302, 'ok', '302 caf\xc3\xa9 \x85'),
    make(
      'cookies that would be thirty times as long',
      framed(`Set-Cookie: a=b${';domain=t'.repeat(3_000)}\r\nLocation: http://t/v2/a\r\n`, smuggled),
      302,
      smuggled,
      '302 Found',
      LONG_HOST,
    ),
    make(
      'very many of them',
      framed(`Set-Cookie: a=b${';domain=t'.repeat(24)}\r\n`.repeat(100), smuggled),
      302,
      smuggled,
      '302 Found',
      LONG_HOST,
    ),
  ]
}

/** What is wrong with the fields of an answer of the target's. */
function faultsOf(fields: readonly Field[], { host }: Case, address: string): string[] {
  const faults: string[] = []
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || !VISIBLE.test(value)) faults.push(`no field: ${escapeBytes(`${name}: ${value}`)}`)
    if (name === 'x-gone') faults.push('x-gone came')
  }
  const edited = valuesIn(fields, 'x-edited')
  if (edited.join() !== `<a|${address}>`) faults.push(`x-edited is ${edited.join()}`)
  if (!valuesIn(fields, 'set-cookie').includes('own=1; Path=/v2/')) faults.push('the rule’s own cookie is missing')
  for (const location of valuesIn(fields, 'location')) {
    const url = new URL(location, `http://${host}/`)
    if (url.host !== host) faults.push(`it leads to ${url.host}: ${escapeBytes(location)}`)
    if (url.pathname.startsWith('/v2/')) faults.push(`it is the target’s: ${escapeBytes(location)}`)
  }
  return faults
}

/** All that a client of HTTP/1.1 gets, in which there must be just one message, to strict readers and to others. */
async function overHttp1(port: number, index: number, wanted: Case, address: string): Promise<string[]> {
  const client = await RawClient.connect(port)
  client.send(`GET /${index} HTTP/1.1\r\nHost: ${wanted.host}\r\nX-A: a\r\nX-Id: ${index}\r\nConnection: close\r\n\r\n`)
  await client.ending()
  const bytes = await client.reader.rest()
  client.close()
  const faults = [false, true].flatMap((lenient) => {
    const { messages, error } = readResponses(bytes, lenient, false)
    const [message] = messages
    if (messages.length !== 1 || !message!.complete) return [`${messages.length} messages, ${error}`]
    if (message!.status !== wanted.status) return [`the status is ${message!.status}`]
    return wanted.status === 502 || message!.body === wanted.body ? [] : [`the body is ${escapeBytes(message!.body)}`]
  })
  const text = bytes.toString('latin1')
  const [, ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')
  const fields = lines.map((line): Field => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)]
  })
  if (/\r\n0\r\nx[-_](?:gone|edited)/i.test(text)) faults.push('a trailer came')
  return wanted.status === 502 ? faults : [...faults, ...faultsOf(fields, wanted, address)]
}

async function overHttp2(port: number, index: number, wanted: Case, address: string): Promise<string[]> {
  const asked: Field[] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', wanted.host],
    [':path', `/${index}`],
    ['x-a', 'a'],
    ['x-id', String(index)],
  ]
  const { status, fields } = await answerTo(port, [headers(1, asked, END)])
  if (status !== wanted.status) return [`the status is ${status}`]
  return status === 502 ? [] : faultsOf(fields.slice(1), wanted, address)
}

const CLIENTS = { 'HTTP/1.1': overHttp1, 'HTTP/2': overHttp2 }

async function probe(
  port: number,
  cases: readonly Case[],
  address: string,
  versions: readonly (keyof typeof CLIENTS)[] = ['HTTP/1.1', 'HTTP/2'],
): Promise<string[]> {
  const faults: string[] = []
  await inTurns(cases, async (each, index) => {
    for (const version of versions) {
      const found = await CLIENTS[version](port, index, each, address)
      faults.push(...found.map((fault) => `${each.what} by ${version}: ${fault}`))
    }
  })
  return faults
}

const GROUP = { outlierDetection: 'off', retries: 'off' }

for (const [how, tolerate] of [
  ['', []],
  [', of faults that are tolerated', ['bare-lf', 'short-status-line']],
] as const) {
  t.test(
    `whatever a target of HTTP/1.1 answers, a client gets one message, edited and written back${how}`,
    async (t) => {
      const cases = http1Cases(tolerate.length > 0)
      const target = await RawTarget.start({
        answer: (request, connection) => connection.write(cases[Number(request.header('x-id'))]!.said),
      })
      t.teardown(() => target.stop())
      const { port } = await startTestCastor(t, [target.address], {
        listener: { http2: true, rules: [RULE] },
        group: { tolerate, ...GROUP },
      })
      t.same(await probe(port, cases, target.address, tolerate.length > 0 ? ['HTTP/1.1'] : undefined), [])
    },
  )
}

interface StreamCase extends Case {
  frames(id: number): readonly Buffer[]
}

function http2Cases(): readonly StreamCase[] {
  const make = (what: string, status: number, said: readonly Field[], host = HOST): StreamCase => ({
    what,
    said: '',
    status,
    body: status === 502 ? '' : 'ok',
    host,
    frames: (id) => [headers(id, [[':status', '302'], ...said]), frame(FRAME.DATA, END, id, Buffer.from('ok'))],
  })
  const values = VALUES.flatMap((value) =>
    PLACES.map((place) => {
      const [name, text] = place(value)
      return make(`${name}: ${escapeBytes(text.slice(0, 60))}`, VISIBLE.test(text) ? 302 : 502, [[name, text]])
    }),
  )
  return [
    ...values,
    ...['Location', 'loc ation', 'location:', 'location: a\r\nx-injected', '', ':x', ':status', 'x\0'].map((name) =>
      make(`the name ${escapeBytes(name)}`, 502, [[name, '200']]),
    ),
    ...['transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'te', 'proxy-connection'].map((name) =>
      make(name, 502, [[name, 'chunked']]),
    ),
    make('a length', 302, [['content-length', '2']]),
    make('a length twice', 502, [
      ['content-length', '2'],
      ['content-length', '2'],
    ]),
    ...['2, 2', '+2', '2\r\nx-injected: 1', ''].map((length) =>
      make(`a length of ${escapeBytes(length)}`, 502, [['content-length', length]]),
    ),
    make('a look-alike of a length', 302, [['content_length', '30']]),
    make(
      'cookies that would be thirty times as long',
      302,
      [['set-cookie', `a=b${';domain=t'.repeat(1_200)}`]],
      LONG_HOST,
    ),
  ]
}

/** Answers each stream as its `x-id` says. */
async function startStreams(t: Test, cases: readonly StreamCase[]): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    const decoder = new HpackDecoder(65_536, 65_536)
    let received = Buffer.alloc(0)
    let seen = 0
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write(Buffer.concat([settings(), SETTINGS_ACK]))
    socket.on('data', (data) => {
      received = Buffer.concat([received, data])
      const frames = wholeFrames(received.subarray(PREFACE.length))
      for (const { type, id, payload } of frames.slice(seen)) {
        if (type !== FRAME.HEADERS) continue
        const list = new FieldList()
        decoder.decode(payload, 0, payload.length, list)
        socket.write(Buffer.concat(cases[Number(valuesIn(fieldsOf(list), 'x-id')[0])]!.frames(id)))
      }
      seen = frames.length
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('whatever a target of HTTP/2 answers, a client gets one message, edited and written back', async (t) => {
  const cases = http2Cases()
  const address = await startStreams(t, cases)
  const { port } = await startTestCastor(t, [address], {
    listener: { http2: true, rules: [RULE] },
    group: { protocol: 'h2c', ...GROUP },
  })
  t.same(await probe(port, cases, address), [])
})
