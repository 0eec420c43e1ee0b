import t from 'tap'
import { CookieFinder } from '../../../src/http/cookie.js'
import { readRequest, readResponse, textOf } from './heads.js'

/** The value found in a request with these Cookie lines, undefined for none. */
function sent(name: string, ...lines: string[]): string | undefined {
  const fields = lines.map((line) => `Cookie: ${line}\r\n`).join('')
  const { parser, buffer, start } = readRequest(`GET / HTTP/1.1\r\nHost: h\r\nX-Cookie: ${name}=no\r\n${fields}\r\n`)
  const finder = new CookieFinder(name)
  return finder.inRequest(parser, buffer, start) ? textOf(buffer, finder.valueStart, finder.valueEnd) : undefined
}

function set(name: string, ...lines: string[]): string[] {
  const fields = lines.map((line) => `Set-Cookie: ${line}\r\n`).join('')
  const { parser, buffer, start } = readResponse(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`)
  const finder = new CookieFinder(name)
  const values: string[] = []
  for (let at = finder.nextInResponse(parser, buffer, start, 0); at > 0; ) {
    values.push(textOf(buffer, finder.valueStart, finder.valueEnd))
    at = finder.nextInResponse(parser, buffer, start, at)
  }
  return values
}

const SENT: readonly [string, string[], string | undefined][] = [
  ['alone', ['SID=abc'], 'abc'],
  ['between others', ['a=b; SID=abc; c=d'], 'abc'],
  ['last', ['a=b; SID=abc'], 'abc'],
  ['without the space that should be there', ['a=b;SID=abc'], 'abc'],
  ['behind more spaces than there should be', ['a=b;   SID=abc'], 'abc'],
  ['with white space around it', ['a=b; \tSID = abc ;c=d'], 'abc'],
  ['in a second line', ['a=b', 'c=d; SID=abc'], 'abc'],
  ['twice: the first', ['SID=abc; SID=def'], 'abc'],
  ['twice over two lines: the first', ['SID=abc', 'SID=def'], 'abc'],
  ['with an equals sign in its value', ['SID=a=b=='], 'a=b=='],
  ['with its quotes', ['SID="abc"'], '"abc"'],
  ['with bytes beyond ASCII', ['SID=\xe4\xff'], '\xe4\xff'],
  ['empty', ['SID='], ''],
  ['empty before others', ['SID=; a=b'], ''],
  ['a name that only begins like it', ['SIDE=abc'], undefined],
  ['a name that only ends like it', ['XSID=abc'], undefined],
  ['a name in another case, which is another name', ['sid=abc'], undefined],
  ['without a value', ['SID'], undefined],
  ['without a value before others', ['SID; a=b'], undefined],
  ['a value that looks like it', ['a=SID=abc'], undefined],
  ['nothing but separators', [';;; ; '], undefined],
  ['no cookie at all', [], undefined],
]

for (const [what, lines, value] of SENT) {
  t.test(`in a request: ${what}`, async (t) => {
    t.equal(sent('SID', ...lines), value)
  })
}

const SET: readonly [string, string[], string[]][] = [
  ['alone', ['SID=abc'], ['abc']],
  ['with attributes', ['SID=abc; Path=/; HttpOnly'], ['abc']],
  ['with attributes that look like it', ['a=b; SID=abc'], []],
  ['among others', ['a=b; Path=/', 'SID=abc; Path=/', 'c=d'], ['abc']],
  ['several: each of them', ['SID=abc; Path=/', 'a=b', 'SID=deleted; Max-Age=0; Path=/old'], ['abc', 'deleted']],
  ['empty, as when it is deleted', ['SID=; Max-Age=0'], ['']],
  ['nothing but white space', ['SID= \t ; Path=/'], ['']],
  ['with white space that clients leave out', ['SID \t= abc\t; Path=/'], ['abc']],
  ['with white space within its value, which stays', ['SID=a b'], ['a b']],
  ['in another case, which is another name', ['sid=abc'], []],
  ['no cookie at all', [], []],
]

for (const [what, lines, value] of SET) {
  t.test(`in a response: ${what}`, async (t) => {
    t.same(set('SID', ...lines), value)
  })
}

t.test('what was found before does not stay', async (t) => {
  const finder = new CookieFinder('SID')
  const first = readRequest('GET / HTTP/1.1\r\nHost: h\r\nCookie: SID=abc\r\n\r\n')
  t.ok(finder.inRequest(first.parser, first.buffer, first.start))
  const second = readRequest('GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n\r\n')
  t.notOk(finder.inRequest(second.parser, second.buffer, second.start))
})

t.test('several of the name are found one after the other, over lines', async (t) => {
  const finder = new CookieFinder('SID')
  const { parser, buffer, start } = readRequest(
    'GET / HTTP/1.1\r\nHost: h\r\nCookie: SID=a; x=y; SID=; SID = b\r\nX: SID=no\r\nCookie: SID=c;SID=d\r\n\r\n',
  )
  const found: string[] = []
  for (let from = 0; finder.inRequest(parser, buffer, start, from); from = finder.valueEnd) {
    found.push(textOf(buffer, finder.valueStart, finder.valueEnd))
  }
  t.same(found, ['a', '', 'b', 'c', 'd'])
})
