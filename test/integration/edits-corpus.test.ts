import t from 'tap'
import { normalizePath } from '../../src/core/normal-path.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { escapeBytes } from '../fuzz/escapes.js'
import { END, type Field, frame, headers, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor } from './support/castor.js'
import { answerTo, cutOff, inTurns, pingLast } from './support/http2-exchange.js'
import { type Arrived, http1Target, http2Target, valuesIn } from './support/strict-targets.js'

/** What a client may bring along to end a line, a field, a path or a message where none ends. */
const HOSTILE: readonly string[] = [
  'plain',
  '\r\nx-injected: 1',
  '\nx-injected: 1',
  '\rx-injected: 1',
  '\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n',
  ' HTTP/1.1\r\nx-injected: 1',
  ' HTTP/1.1',
  'a\0b',
  '\x01',
  '\x7f',
  'a\tb',
  '\ta',
  'a ',
  'a b',
  '%0d%0ax-injected:%201',
  '%0D%0A%0D%0AGET%20/smuggled%20HTTP/1.1',
  '%0a',
  '%00',
  '%250d%250a',
  '%2f',
  '%2F..%2F',
  'a%2f..%2fb',
  '..',
  '../..',
  '/../../x',
  '%2e%2e',
  '%2E%2e/',
  '.%2e/x',
  './/',
  '//',
  '///x//',
  '//evil.example/',
  'http://evil.example/',
  '\\..\\',
  '%5c..%5c',
  '..;/x',
  ';a=b',
  '#x',
  '?x=1',
  '&q=2&t=3',
  '%',
  '%z1',
  '%u000d%u000a',
  '%c0%af',
  'caf\xc3\xa9',
  '\xe5\x98\x8a\xe5\x98\x8d',
  '\x85',
  '\xa0',
  '${path}',
  '{}[]|^`',
  '"<>"',
  '+',
  ',',
  "!$&'()*+,;=:@",
]

const VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/
const PATH = /^(?:[\w\-.~!$&'()*+,;=:@/[\]^|]|%(?!00)[\dA-Fa-f]{2})*$/
const QUERY = /^[\w\-.~!$&'()*+,;=:@/?%[\]^|`{}\\]*$/
const HOST = /^[\w\-.~!$&'()*+,;=]*$/

interface Asked {
  readonly path: string
  /** The value of `x-a`. */
  readonly a: string
  readonly query: string
  readonly host: string
}

const ASKED: Asked = { path: '/keep/x', a: 'a', query: 'q=1', host: 'h.example' }
const cases: readonly (Asked & { readonly isRequest: boolean })[] = HOSTILE.flatMap((hostile) => {
  const value = VALUE.test(hostile)
  const path = PATH.test(hostile)
  const query = QUERY.test(hostile)
  const host = HOST.test(hostile)
  // A "?" in the path begins the query, with whatever is behind it.
  const paths = hostile.startsWith('?') ? [] : [`/keep/${hostile}`, `/keep/a/${hostile}/b`, `/param/${hostile}`]
  return [
    { ...ASKED, a: hostile, isRequest: value },
    { ...ASKED, path: '/param/x', a: hostile, isRequest: value },
    { ...ASKED, query: `q=${hostile}`, isRequest: query },
    { ...ASKED, query: hostile, isRequest: query },
    { ...ASKED, path: '/param/x', query: `q=${hostile}`, isRequest: query },
    { ...ASKED, host: `h${hostile}`, isRequest: host },
    ...paths.map((each) => ({ ...ASKED, path: each, isRequest: path })),
  ]
})

const GROUP = { outlierDetection: 'off', retries: 'off' }
const RULES = [
  {
    match: { path: '/keep/*' },
    forward: 'app',
    rewrite: { path: '/re/*', host: 'inner.example', query: '${query}&t=${header.x-a}' },
    requestHeaders: { set: { 'x-edited': '<${header.x-a}|${path}|${query.q}|${host}>' }, remove: ['x-gone'] },
    responseHeaders: { set: { 'x-back': '<${header.x-a}|${path}|${query}>' } },
  },
  {
    match: { path: '/param/*' },
    forward: 'app',
    rewrite: { path: '/p/${query.q}/${header.x-a}', query: 'a=${header.x-a}' },
    requestHeaders: { add: { 'x-edited': '<${header.x-a}>' }, remove: ['x-gone'] },
  },
  { match: { path: '/host' }, forward: 'app', rewrite: { host: '${header.x-host}' } },
]

const encoded = (text: string): string =>
  [...Buffer.from(text, 'latin1')]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[\w\-.~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')

/** The first parameter of that name, as it stands. */
const parameter = (query: string): string => {
  const found = query.split('&').find((each) => each === 'q' || each.startsWith('q='))
  return found?.slice(2) ?? ''
}

/** What the rules make of it: how its target and its edited fields must be. Undefined where no rule is for it. */
function expectedOf({ path, a, query, host }: Asked): Pick<Arrived, 'target' | 'host'> & { readonly edited: string } {
  const normal = normalizePath(path)
  if (normal.startsWith('/keep/')) {
    return {
      target: `/re/${normal.slice('/keep/'.length)}?${query}&t=${encoded(a)}`,
      host: 'inner.example',
      edited: `<${a.replaceAll('\t', ' ')}|${path}|${parameter(query)}|${host}>`,
    }
  }
  return { target: `${path}?${query}`, host, edited: '' }
}

for (const [protocol, start] of [
  ['http', http1Target],
  ['h2c', http2Target],
] as const) {
  t.test(
    `whatever a request of HTTP/2 brings along, a target of ${protocol} gets one that is as the rule says`,
    async (t) => {
      const target = await start(t)
      const { port } = await startTestCastor(t, [target.address], {
        listener: { http2: true, rules: RULES },
        group: { protocol, ...GROUP },
      })
      let accepted = 0
      const faults: string[] = []
      await inTurns(cases, async (asked, index) => {
        const { path, a, query, host, isRequest } = asked
        const what = escapeBytes(`${path}?${query} ${host} ${a}`)
        const said: Field[] = [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', host],
          [':path', `${path}?${query}`],
          ['x-a', a],
          ['x-id', String(index)],
          ['x-gone', '1'],
          ['x_edited', 'a look-alike'],
        ]
        const { status, fields } = await answerTo(port, [headers(1, said, END)])
        const arrived = target.arrived.filter((each) => valuesIn(each.fields, 'x-id').includes(String(index)))
        const fault = (text: string): unknown => faults.push(`${what}: ${text}`)
        if (arrived.length !== (status === 200 ? 1 : 0)) fault(`${arrived.length} came, and it was answered ${status}`)
        const normal = isRequest ? normalizePath(path) : ''
        const isParam = normal.startsWith('/param/')
        const isRuled = isParam || normal.startsWith('/keep/')
        // Made of what the client says, a path may turn out to be none.
        if (isRequest && status !== 200 && !isParam && normal !== '/keep') fault(`it was refused: ${status}`)
        if (!isRequest && status === 200) fault('it was passed on')
        if (status !== 200) return
        accepted++
        const [came] = arrived
        if (came === undefined) return
        for (const [name, value] of [...came.fields, ...fields]) {
          if (!/^:?[\w!#$%&'*+.^`|~-]+$/.test(name) || /[^\t -~\x80-\xff]/.test(value)) fault(`${name}: ${value}`)
          if (name === 'x-injected' || (name === 'x-gone' && isRuled)) fault(`${name} came`)
        }
        if (/[^!-~]|#|^(?!\/)/.test(came.target)) fault(`no target: ${came.target}`)
        if (isParam) {
          const [made = '', query = ''] = came.target.split('?')
          const segments = made.split('/')
          // An empty one is none.
          if (segments.length > 4 || segments[1] !== 'p') fault(`variables are more than a segment each: ${made}`)
          if (query !== `a=${encoded(a)}`) fault(`the query is ${query}`)
          if (segments.some((segment) => /^\.{1,2}$/.test(segment))) fault(`a dot segment: ${made}`)
          return
        }
        const expected = expectedOf(asked)
        const edited = valuesIn(came.fields, 'x-edited').join(' and ')
        if (came.target !== expected.target) fault(`the target is ${came.target}, not ${expected.target}`)
        if (came.host !== expected.host) fault(`the host is ${came.host}`)
        if (expected.edited !== '' && edited !== expected.edited)
          fault(`the field is ${edited}, not ${expected.edited}`)
      })
      t.same(faults, [])
      t.same(target.faults(), [])
      t.ok(accepted > 150, `${accepted} of ${cases.length} are requests`)
    },
  )

  t.test(`no framing of HTTP/2 makes two requests of one at a target of ${protocol}, edited as they are`, async (t) => {
    const target = await start(t)
    const { port } = await startTestCastor(t, [target.address], {
      listener: { http2: true, rules: RULES },
      group: { protocol, ...GROUP },
    })
    const CHUNKS = '0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
    const head = (id: number, more: readonly Field[], pseudo: readonly Field[] = []): Field[] => {
      const named = new Map<string, string>([
        [':method', 'POST'],
        [':scheme', 'http'],
        [':authority', 'h.example'],
        [':path', '/keep/x?q=1'],
        ...pseudo,
      ])
      return [...named, ['x-a', 'a'], ['x-id', String(id)], ...more]
    }
    const data = (text: string, flags: number = END): Buffer => frame(FRAME.DATA, flags, 1, Buffer.from(text, 'latin1'))
    type Case = readonly [what: string, body: string | undefined, frames: (id: number) => readonly Buffer[]]
    const refused = (what: string, more: readonly Field[], pseudo: readonly Field[] = []): Case => [
      what,
      undefined,
      (id) => [headers(1, head(id, more, pseudo)), data('abc')],
    ]
    const CASES: readonly Case[] = [
      ['a body that looks like chunks and a request', CHUNKS, (id) => [headers(1, head(id, [])), data(CHUNKS)]],
      [
        'the same beside a length',
        CHUNKS,
        (id) => [headers(1, head(id, [['content-length', String(CHUNKS.length)]])), data(CHUNKS)],
      ],
      [
        'in pieces, and trailers of all kinds',
        `${CHUNKS}${CHUNKS}`,
        (id) => [
          headers(1, head(id, [])),
          data(CHUNKS, 0),
          data(CHUNKS, 0),
          headers(
            1,
            [
              ['content-length', '5'],
              ['host', 'x'],
              ['x-gone', '1'],
              ['x-edited', '1'],
              ['x-forwarded-for', '192.0.2.1'],
              ['x-kept', '1'],
            ],
            END,
          ),
        ],
      ],
      ['TE: trailers', 'abc', (id) => [headers(1, head(id, [['te', 'trailers']])), data('abc')]],
      ['Expect', 'abc', (id) => [headers(1, head(id, [['expect', '100-continue']])), data('abc')]],
      ['a Host that says the same', 'abc', (id) => [headers(1, head(id, [['host', 'H.example']])), data('abc')]],
      ['no end of the head’s frame', '', (id) => [headers(1, head(id, [['content-length', '0']]), END)]],
      refused('Transfer-Encoding', [['transfer-encoding', 'chunked']]),
      refused('Transfer-Encoding with a tab', [['transfer-encoding', '\tchunked']]),
      refused('Transfer-Encoding beside a length', [
        ['content-length', '3'],
        ['transfer-encoding', 'chunked'],
      ]),
      refused('TE of more', [['te', 'trailers, chunked']]),
      refused('Connection', [['connection', 'x-a']]),
      refused('Upgrade', [['upgrade', 'h2c']]),
      refused('Proxy-Connection', [['proxy-connection', 'keep-alive']]),
      refused('a length twice', [
        ['content-length', '3'],
        ['content-length', '3'],
      ]),
      refused('two lengths', [
        ['content-length', '3'],
        ['content-length', '30'],
      ]),
      ...['3, 3', '+3', '3 ', '0x3', '-3', '3\r\nx-injected: 1', ''].map((length) =>
        refused(`a length of ${escapeBytes(length)}`, [['content-length', length]]),
      ),
      refused('a length that is too short', [['content-length', '2']]),
      refused('a length that is too long', [['content-length', '4']]),
      refused('another Host', [['host', 'other.example']]),
      refused('two Hosts', [
        ['host', 'h.example'],
        ['host', 'h.example'],
      ]),
      refused('a pseudo-header field behind others', [[':path', '/y']]),
      refused('an unknown pseudo-header field', [], [[':x', '1']]),
      refused('a status', [], [[':status', '200']]),
      refused('an absolute path', [], [[':path', 'http://x/keep/x']]),
      refused('an asterisk for POST', [], [[':path', '*']]),
      refused('no path', [], [[':path', '']]),
      refused('a path with a version', [], [[':path', '/keep/x HTTP/1.1\r\nx-injected: 1']]),
      refused('a method with a target', [], [[':method', 'GET /smuggled HTTP/1.1\r\nx: ']]),
      refused('a scheme with a host', [], [[':scheme', 'http://x/?']]),
      refused('user information', [], [[':authority', 'a@h.example']]),
      refused('a host with a path', [], [[':authority', 'h.example/x']]),
      refused('CONNECT', [], [[':method', 'CONNECT']]),
      ...['X-A', 'x-a:', 'x-a: 1\r\nx-injected', 'x a', 'x\0a', '', 'x-\xe9', 'x-a\t'].map((name) =>
        refused(`the name ${escapeBytes(name)}`, [[name, '1']]),
      ),
      refused('a host made of white space', [['x-host', 'b c']], [[':path', '/host?made']]),
      refused('a host made of a host with a path', [['x-host', 'b/c']], [[':path', '/host?made']]),
      [
        'trailers with a line end',
        undefined,
        (id) => [headers(1, head(id, [])), data('abc', 0), headers(1, [['x', 'a\r\nx-injected: 1']], END)],
      ],
      [
        'trailers with Transfer-Encoding',
        undefined,
        (id) => [headers(1, head(id, [])), data('abc', 0), headers(1, [['transfer-encoding', 'chunked']], END)],
      ],
      [
        'more behind its end',
        'abc',
        (id) => [headers(1, head(id, [])), data('abc'), frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1))],
      ],
      [
        'a reset before its end',
        undefined,
        (id) => [headers(1, head(id, [])), data('abc', 0), frame(FRAME.RST_STREAM, 0, 1, uint32(8)), pingLast()],
      ],
    ]
    const faults: string[] = []
    await inTurns(CASES, async ([what, body, frames], index) => {
      const isReset = what.startsWith('a reset')
      const { status } = isReset ? await cutOff(port, frames(index)) : await answerTo(port, frames(index))
      if ((status === 200) !== (body !== undefined)) faults.push(`${what}: it was answered ${status}`)
      const arrived = target.arrived.filter((each) => valuesIn(each.fields, 'x-id').includes(String(index)))
      if (arrived.length !== (body === undefined ? 0 : 1)) faults.push(`${what}: ${arrived.length} came`)
      for (const came of arrived) {
        if (came.body !== body) faults.push(`${what}: the body is ${escapeBytes(came.body)}`)
        if (came.target !== '/re/x?q=1&t=a') faults.push(`${what}: the target is ${came.target}`)
        if (valuesIn(came.fields, 'x-edited').join() !== '<a|/keep/x|1|h.example>') faults.push(`${what}: x-edited`)
        for (const [name] of came.fields) if (/injected|gone/.test(name)) faults.push(`${what}: ${name} came`)
        if (valuesIn(came.fields, 'x-forwarded-for').join() !== '127.0.0.1') faults.push(`${what}: another client`)
      }
    })
    t.same(faults, [])
    t.same(target.faults(), [])
    const smuggled = target.arrived.filter(({ target }) => target.includes('smuggled'))
    t.same(smuggled, [])
  })
}
