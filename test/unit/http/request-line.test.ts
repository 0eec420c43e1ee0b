import t from 'tap'
import {
  FORM_ABSOLUTE,
  FORM_ASTERISK,
  FORM_ORIGIN,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
} from '../../../src/http/request-parser.js'
import { LIMITS, outcomeName, readRequest } from './heads.js'

const HOST = 'Host: h\r\n\r\n'
const withTarget = (target: string, method = 'GET'): string => `${method} ${target} HTTP/1.1\r\n${HOST}`

t.test('RFC 9110 9.1: methods are tokens and case-sensitive', async (t) => {
  for (const [name, id] of [
    ['GET', METHOD_GET],
    ['HEAD', METHOD_HEAD],
    ['POST', METHOD_POST],
    ['PUT', METHOD_PUT],
    ['DELETE', METHOD_DELETE],
    ['OPTIONS', METHOD_OPTIONS],
    ['PATCH', METHOD_PATCH],
    ['TRACE', METHOD_TRACE],
    ['get', METHOD_OTHER],
    ['Get', METHOD_OTHER],
    ['GEX', METHOD_OTHER],
    ['POSTS', METHOD_OTHER],
    ['PROPFIND', METHOD_OTHER],
    ["M-SEARCH!#$%&'*+.^_`|~09", METHOD_OTHER],
  ] as const) {
    const read = readRequest(withTarget('/', name))
    t.equal(outcomeName(read.outcome), 'complete', name)
    t.equal(read.parser.method, id, name)
    t.equal(read.parser.text(read.buffer, read.start, read.parser.methodStart, read.parser.methodEnd), name)
  }
})

t.test('RFC 9112 3.2: target forms', async (t) => {
  for (const { method = 'GET', target, form, path = target, query, authority, hostName = 'h' } of [
    { target: '/', form: FORM_ORIGIN },
    { target: "/a/b;c=1/@:!$&'()*+,=-._~", form: FORM_ORIGIN },
    { target: '/a?b=c&d=/?', form: FORM_ORIGIN, query: '?b=c&d=/?' },
    { target: '//double//slash', form: FORM_ORIGIN },
    { target: '/%41%2f%C3%A9', form: FORM_ORIGIN },
    { method: 'OPTIONS', target: '*', form: FORM_ASTERISK },
    {
      target: 'http://o.example/p?q',
      form: FORM_ABSOLUTE,
      path: '/p?q',
      query: '?q',
      authority: 'o.example',
      hostName: 'o.example',
    },
    {
      target: 'HTTPS://O.example:8443/',
      form: FORM_ABSOLUTE,
      path: '/',
      authority: 'O.example:8443',
      hostName: 'O.example',
    },
    { target: 'http://o.example', form: FORM_ABSOLUTE, path: '', authority: 'o.example', hostName: 'o.example' },
    {
      target: 'http://o.example?q',
      form: FORM_ABSOLUTE,
      path: '?q',
      query: '?q',
      authority: 'o.example',
      hostName: 'o.example',
    },
    { target: 'http://[::1]:80/x', form: FORM_ABSOLUTE, path: '/x', authority: '[::1]:80', hostName: '[::1]' },
  ]) {
    const { parser, buffer, start, outcome } = readRequest(withTarget(target, method))
    const text = (from: number, to: number): string => parser.text(buffer, start, from, to)
    t.equal(outcomeName(outcome), 'complete', target)
    t.equal(parser.targetForm, form, target)
    t.equal(text(parser.targetStart, parser.targetEnd), target)
    t.equal(text(parser.pathStart, parser.pathEnd), path)
    t.equal(parser.queryStart === -1 ? undefined : text(parser.queryStart, parser.pathEnd), query)
    t.equal(parser.authorityStart === -1 ? undefined : text(parser.authorityStart, parser.authorityEnd), authority)
    t.equal(text(parser.hostStart, parser.hostEnd), authority ?? 'h', 'the authority replaces Host')
    t.equal(text(parser.hostStart, parser.hostNameEnd), hostName)
  }
})

t.test('what browsers send raw in a target is let through where no server reads it as something else', async (t) => {
  for (const target of ['/a[1]|b^c', '/?a[]=1', '/?{a|b}^`\\', '/?100%', '/?%zz', "/it's"]) {
    t.equal(outcomeName(readRequest(withTarget(target)).outcome), 'complete', target)
  }
})

const REFUSED: readonly [section: string, head: string, status: number, detail: string][] = [
  ['RFC 9112 3: one space between the parts', 'GET  / HTTP/1.1\r\n', 400, 'empty target'],
  ['RFC 9112 3: one space between the parts', 'GET /  HTTP/1.1\r\n', 400, 'too many spaces in the request line'],
  ['RFC 9112 3: no other white space', 'GET\t/ HTTP/1.1\r\n', 400, 'control character'],
  ['RFC 9112 3: no white space before the method', ' GET / HTTP/1.1\r\n', 400, 'empty method'],
  ['RFC 9112 3: no white space after the version', 'GET / HTTP/1.1 \r\n', 400, 'too many spaces in the request line'],
  ['RFC 9112 3: no space within the target', 'GET /a b HTTP/1.1\r\n', 400, 'malformed version'],
  ['RFC 9110 9.1: methods are tokens', 'G(T / HTTP/1.1\r\n', 400, 'character not allowed here'],
  ['RFC 9110 9.1: methods are tokens', 'GET, / HTTP/1.1\r\n', 400, 'character not allowed here'],
  ['RFC 9110 9.1: a method has a name', '\r\n / HTTP/1.1\r\n', 400, 'empty method'],
  ['RFC 9110 9.1: no bytes beyond ASCII', 'G\xc9T / HTTP/1.1\r\n', 400, 'byte beyond ASCII'],
  ['a TLS hello is no request', '\x16\x03\x01\x02\x00', 400, 'control character'],
  ['RFC 9112 2.2: CRLF only', 'GET / HTTP/1.1\nHost: h\r\n\r\n', 400, 'malformed version'],
  ['RFC 9112 2.2: CRLF only', 'GET / HTTP/1.1\r\r\n', 400, 'bare CR'],
  ['RFC 9112 2.2: one empty line before, not two', '\r\n\r\nGET / HTTP/1.1\r\n', 400, 'bare CR'],
  ['RFC 9112 2.2: an empty line is CRLF', '\nGET / HTTP/1.1\r\n', 400, 'bare LF'],
  ['RFC 9112 2.2: an empty line is CRLF', '\rGET / HTTP/1.1\r\n', 400, 'bare CR'],
  ['HTTP/0.9 has no version', 'GET /\r\n', 400, 'request line without a version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / http/1.1\r\n', 400, 'malformed version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / HTTP/1\r\n', 400, 'malformed version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / HTTP/1.10\r\n', 400, 'malformed version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / HTTP/01.1\r\n', 400, 'malformed version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / HTTP/1,1\r\n', 400, 'malformed version'],
  ['RFC 9112 2.3: the version is HTTP/d.d', 'GET / HTTPS/1.1\r\n', 400, 'malformed version'],
  ['RFC 9110 15.6.6: other versions', 'GET / HTTP/2.0\r\n', 505, 'another HTTP version'],
  ['RFC 9110 15.6.6: other versions', 'GET / HTTP/0.2\r\n', 505, 'another HTTP version'],
  ['RFC 9110 15.6.6: other versions', 'GET / HTTP/0.9\r\n', 505, 'another HTTP version'],
  ['RFC 9110 9.3.6: CONNECT is not for a gateway', 'CONNECT h:443 HTTP/1.1\r\n', 405, 'CONNECT'],
  ['RFC 9112 3.2.3: authority form only with CONNECT', 'GET h:443 HTTP/1.1\r\n', 400, 'target with another scheme'],
  ['RFC 9112 3.2.4: asterisk form only with OPTIONS', 'GET * HTTP/1.1\r\n', 400, 'asterisk form without OPTIONS'],
  ['RFC 9112 3.2.4: asterisk form is one byte', 'OPTIONS */ HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 9113 3.4: the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 400, 'asterisk form without OPTIONS'],
  ['RFC 9112 3.2: relative targets', 'GET index.html HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 9112 3.2: relative targets', 'GET ?q HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 9112 3.2.2: http and https only', 'GET ftp://h/ HTTP/1.1\r\n', 400, 'target with another scheme'],
  ['RFC 9112 3.2.2: http and https only', 'GET javascript:x HTTP/1.1\r\n', 400, 'target with another scheme'],
  ['RFC 9110 4.2.1: an authority must follow', 'GET http:/h/ HTTP/1.1\r\n', 400, 'target without authority'],
  ['RFC 9110 4.2.1: an empty host is invalid', 'GET http:///p HTTP/1.1\r\n', 400, 'invalid authority'],
  ['RFC 9110 4.2.1: an empty host is invalid', 'GET http://:80/p HTTP/1.1\r\n', 400, 'invalid authority'],
  ['RFC 9110 4.2.4: user information', 'GET http://u@h/ HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 9110 4.2.4: user information', 'GET http://u:p@h/ HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 3986 3.2.3: port', 'GET http://h:65536/ HTTP/1.1\r\n', 400, 'invalid authority'],
  ['RFC 3986 3.2.3: port', 'GET http://h:8x/ HTTP/1.1\r\n', 400, 'invalid authority'],
  [
    'RFC 3986 3.2: backslash in the authority',
    'GET http://h\\x/ HTTP/1.1\r\n',
    400,
    'target: character not allowed here',
  ],
  ['RFC 3986 3.5: no fragment', 'GET /a#b HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  ['RFC 3986 3.5: no fragment', 'GET /a?b#c HTTP/1.1\r\n', 400, 'target: character not allowed here'],
  [
    'RFC 3986 3.3: backslash, which some read as a slash',
    'GET /a\\b HTTP/1.1\r\n',
    400,
    'target: character not allowed here',
  ],
  ...[...'"<>`{}'].map((character): [string, string, number, string] => [
    'RFC 3986 3.3: what browsers encode in paths',
    `GET /${character} HTTP/1.1\r\n`,
    400,
    'target: character not allowed here',
  ]),
  ...[...'"<>'].map((character): [string, string, number, string] => [
    'RFC 3986 3.4: what browsers encode in queries',
    `GET /?${character} HTTP/1.1\r\n`,
    400,
    'target: character not allowed here',
  ]),
  ['RFC 3986 2: URIs are ASCII', 'GET /caf\xc3\xa9 HTTP/1.1\r\n', 400, 'target: byte beyond ASCII'],
  ['RFC 3986 2: URIs are ASCII', 'GET /?\xff HTTP/1.1\r\n', 400, 'target: byte beyond ASCII'],
  ['RFC 9110 5.5: NUL', 'GET /\0 HTTP/1.1\r\n', 400, 'target: NUL byte'],
  ['control characters', 'GET /\x0b HTTP/1.1\r\n', 400, 'target: control character'],
  ['control characters', 'GET /?\x7f HTTP/1.1\r\n', 400, 'target: control character'],
  ['control characters', 'GET /\tHTTP/1.1\r\n', 400, 'target: control character'],
  ['RFC 3986 2.1: an escape has two hex digits', 'GET /% HTTP/1.1\r\n', 400, 'invalid escape in the path'],
  ['RFC 3986 2.1: an escape has two hex digits', 'GET /%4 HTTP/1.1\r\n', 400, 'invalid escape in the path'],
  ['RFC 3986 2.1: an escape has two hex digits', 'GET /%u0041 HTTP/1.1\r\n', 400, 'invalid escape in the path'],
  ['an escaped NUL ends the path for targets in C', 'GET /a%00.png HTTP/1.1\r\n', 400, 'escaped NUL in the path'],
]

for (const [section, head, status, detail] of REFUSED) {
  t.test(`${section}: ${JSON.stringify(head)} is refused`, async (t) => {
    const { parser, outcome } = readRequest(head)
    t.equal(outcomeName(outcome), 'refused')
    t.equal(parser.errorStatus, status)
    t.equal(parser.errorDetail, detail)
    t.equal(parser.errorReason, { 400: 'BAD_REQUEST', 405: 'METHOD_NOT_ALLOWED', 505: 'BAD_VERSION' }[status])
  })
}

t.test('RFC 9112 3: a target over the limit is 414, at the byte that goes beyond it', async (t) => {
  const limits = { ...LIMITS, maxTargetBytes: 10 }
  for (const [line, outcome] of [
    ['GET /234567890', 'incomplete'],
    ['GET /234567890 HTTP/1.1\r\n', 'incomplete'],
    ['GET /2345678901', 'refused'],
    ['GET /2345678901 HTTP/1.1\r\n', 'refused'],
    ['GET /?345678901', 'refused'],
    ['GET /23456789%', 'incomplete'],
    ['GET /23456789%41', 'refused'],
    ['GET http://h/01', 'refused'],
    ['GET http://abcd', 'refused'],
    ['GET schemeschem', 'refused'],
    ['GET /234567890\0', 'refused'],
  ] as const) {
    const read = readRequest(line, limits)
    t.equal(outcomeName(read.outcome), outcome, JSON.stringify(line))
    if (outcome === 'refused') t.match(read.parser, { errorStatus: 414, errorReason: 'TARGET_LINE_TOO_LONG' })
  }
  t.match(readRequest('GET /2345678\0', limits).parser, { errorStatus: 400 }, 'a fault within the limit stays a fault')
})

t.test('a head limit smaller than the target limit also makes a long target 414', async (t) => {
  const { parser, outcome } = readRequest(`GET /${'a'.repeat(40)}`, { ...LIMITS, maxHeaderBytes: 40 })
  t.equal(outcomeName(outcome), 'refused')
  t.equal(parser.errorStatus, 414)
})

t.test('one empty line may come before and counts for nothing', async (t) => {
  const request = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'
  const limits = { ...LIMITS, maxHeaderBytes: request.length }
  for (const prefix of ['', '\r\n']) {
    const { parser, outcome } = readRequest(prefix + request, limits)
    t.equal(outcomeName(outcome), 'complete')
    t.equal(parser.headLength, prefix.length + request.length)
    t.equal(parser.methodStart, prefix.length)
  }
  t.equal(readRequest(request, { ...limits, maxHeaderBytes: request.length - 1 }).parser.errorStatus, 431)
})
