import t from 'tap'
import { TOLERATE_BARE_LF, TOLERATE_SHORT_STATUS_LINE } from '../../../src/core/tolerances.js'
import { HttpDialogue, serverName } from '../../../src/health/http-dialogue.js'

const CHECK = { path: '/health?x=1', host: '', version: '1.1', codes: [[200, 399]], tolerate: 0 } as const

const WRITTEN: readonly [string, object, RegExp][] = [
  ['HTTP/1.1', {}, /^GET \/health\?x=1 HTTP\/1\.1\r\nHost: 10\.0\.0\.1:80\r\n/],
  ['HTTP/1.0', { version: '1.0' }, /^GET \/health\?x=1 HTTP\/1\.0\r\nHost: 10\.0\.0\.1:80\r\n/],
  ['a host', { host: 'app.example:8443' }, /\r\nHost: app\.example:8443\r\n/],
]

for (const [name, more, expected] of WRITTEN) {
  t.test(`a check with ${name} asks so, and for no connection to be kept`, async (t) => {
    const request = String(new HttpDialogue({ ...CHECK, ...more }, '10.0.0.1:80').request)
    t.match(request, expected)
    t.match(request, /\r\nConnection: close\r\n/)
    t.ok(request.endsWith('\r\n\r\n'))
  })
}

const CODES = [
  [200, 299],
  [304, 304],
  [401, 401],
] as const

const ANSWERS: readonly [string, string, string | undefined][] = [
  ['the first of a range', 'HTTP/1.1 200 OK\r\n\r\n', 'NONE'],
  ['the last of a range', 'HTTP/1.1 299 Fine\r\n\r\n', 'NONE'],
  ['behind a range', 'HTTP/1.1 300 Choices\r\n\r\n', 'HTTP_CODE_MISMATCH'],
  ['a single code', 'HTTP/1.1 304 Same\r\n\r\n', 'NONE'],
  ['another single code', 'HTTP/1.1 401 Who\r\nContent-Length: 5\r\n\r\n', 'NONE'],
  ['a code of no range', 'HTTP/1.1 404 No\r\n\r\n', 'HTTP_CODE_MISMATCH'],
  ['an answer of HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n', 'NONE'],
  ['an answer without a phrase', 'HTTP/1.1 200 \r\n\r\n', 'NONE'],
  ['an interim answer alone', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', undefined],
  [
    'interim answers before it',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    'NONE',
  ],
  ['an unfinished head', 'HTTP/1.1 200 OK\r\nContent-Le', undefined],
  ['HTTP/2', '\x00\x00\x12\x04\x00\x00\x00\x00\x00', 'RESPONSE_FORMAT_ERROR'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n', 'RESPONSE_FORMAT_ERROR'],
  ['a version that is none', 'HTTP/3.0 200 OK\r\n\r\n', 'RESPONSE_FORMAT_ERROR'],
  ['a head that is too large', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}\r\n`, 'RESPONSE_FORMAT_ERROR'],
]

for (const [name, answer, expected] of ANSWERS) {
  t.test(`${name}: ${expected ?? 'more is awaited'}`, async (t) => {
    const bytes = Buffer.from(answer, 'latin1')
    t.equal(new HttpDialogue({ ...CHECK, codes: CODES }, 'h').onData(bytes, bytes.length)?.reason, expected, 'at once')
    const dialogue = new HttpDialogue({ ...CHECK, codes: CODES }, 'h')
    let reason: string | undefined
    for (let at = 0; at < bytes.length && reason === undefined; at++)
      reason = dialogue.onData(bytes.subarray(at), 1)?.reason
    t.equal(reason, expected, 'byte by byte')
  })
}

const UNUSUAL: readonly [name: string, tolerate: number, answer: string, expected: string][] = [
  ['line feeds alone', TOLERATE_BARE_LF, 'HTTP/1.1 200 OK\nX: y\n\n', 'NONE'],
  ['a short status line', TOLERATE_SHORT_STATUS_LINE, 'HTTP/1.1 200\r\n\r\n', 'NONE'],
  ['both, behind an interim answer', 3, 'HTTP/1.1 100\n\nHTTP/1.1 200\n\n', 'NONE'],
]
for (const [name, tolerate, answer, expected] of UNUSUAL) {
  t.test(`an answer with ${name} passes where that is tolerated, and says why elsewhere`, async (t) => {
    const bytes = Buffer.from(answer)
    const check = { ...CHECK, codes: CODES }
    t.equal(new HttpDialogue({ ...check, tolerate }, 'h').onData(bytes, bytes.length)?.reason, expected)
    for (const other of [0, 3 & ~tolerate]) {
      const found = new HttpDialogue({ ...check, tolerate: other }, 'h').onData(bytes, bytes.length)
      t.match(found, { reason: 'RESPONSE_FORMAT_ERROR', detail: /: (bare LF|no space after the status)$/ })
    }
  })
}

t.test('a server name is a host without its port', async (t) => {
  const names: readonly [string, string][] = [
    ['app.example', 'app.example'],
    ['app.example:8443', 'app.example'],
    ['10.0.0.1:80', '10.0.0.1'],
    ['[2001:db8::7]:8443', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['2001:db8::7', '2001:db8::7'],
  ]
  for (const [host, expected] of names) t.equal(serverName(host), expected, host)
})
