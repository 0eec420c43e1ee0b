import t from 'tap'
import type { HashOn } from '../../../src/core/config.js'
import { RequestHash } from '../../../src/proxy/request-hash.js'
import { readRequest } from '../http/heads.js'

/** What the group's hash of a request is; the head lies behind other bytes, as it may in a read buffer. */
function hashOf(on: HashOn, target: string, fields: readonly string[] = []): number {
  const { parser, buffer, start } = readRequest([`GET ${target} HTTP/1.1`, 'Host: h', ...fields, '', ''].join('\r\n'))
  const moved = new Uint8Array(buffer.length + 7).fill(0x78)
  moved.set(buffer, 7)
  return new RequestHash(on).of(parser, moved, start + 7)
}

const PATH: HashOn = { by: 'path' }
const HEADER: HashOn = { by: 'header', name: 'x-user' }
const COOKIE: HashOn = { by: 'cookie', name: 'SID' }

t.test('it is FNV-1a over the bytes, 32 bits, unsigned', async (t) => {
  // From the reference vectors of the hash's authors.
  t.equal(hashOf(HEADER, '/', ['X-User: a']), 0xe40c292c)
  t.equal(hashOf(HEADER, '/', ['X-User: foobar']), 0xbf9cf968)
  t.equal(hashOf(COOKIE, '/', ['Cookie: SID=foobar']), 0xbf9cf968)
  t.equal(hashOf(HEADER, '/', ['X-User:']), 0x811c9dc5, 'an empty value is a value')
})

/** Requests that must come to the same target. */
const SAME: readonly [string, HashOn, readonly [string, ...string[]], readonly [string, ...string[]]][] = [
  ['a path whatever its query', PATH, ['/a/b'], ['/a/b?x=1']],
  ['a path whatever its fields', PATH, ['/a/b', 'X-User: 1', 'Cookie: SID=1'], ['/a/b']],
  ['a path whose query is empty', PATH, ['/a'], ['/a?']],
  ['the path of an absolute target', PATH, ['/a'], ['http://h/a?x']],
  ['a header in any case', HEADER, ['/', 'X-USER: 7'], ['/other', 'x-uSer: 7']],
  ['a header without the white space around it', HEADER, ['/', 'X-User: 7'], ['/', 'X-User:  \t7 ']],
  ['the first of several headers', HEADER, ['/', 'X-User: 7'], ['/', 'X-User: 7', 'X-User: 8']],
  ['a header among others', HEADER, ['/', 'X-User: 7'], ['/', 'X-Use: 1', 'X-User2: 2', 'Y-User: 3', 'X-User: 7']],
  ['a cookie wherever it stands', COOKIE, ['/', 'Cookie: SID=7'], ['/b', 'Cookie: a=b; SID=7; c=d']],
  ['the first of several cookies', COOKIE, ['/', 'Cookie: SID=7'], ['/', 'Cookie: SID=7; SID=8']],
  ['a cookie in a second line', COOKIE, ['/', 'Cookie: SID=7'], ['/', 'Cookie: a=b', 'Cookie: SID=7']],
]

for (const [what, on, [target, ...fields], [otherTarget, ...otherFields]] of SAME) {
  t.test(`${what} hashes to the same`, async (t) => {
    const hash = hashOf(on, target, fields)
    t.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)
    t.equal(hashOf(on, otherTarget, otherFields), hash)
  })
}

const DIFFERENT: readonly [string, HashOn, readonly [string, ...string[]], readonly [string, ...string[]]][] = [
  ['paths', PATH, ['/a'], ['/b']],
  ['a path and a longer one', PATH, ['/a'], ['/a/']],
  ['paths in another case', PATH, ['/a'], ['/A']],
  ['values of a header', HEADER, ['/', 'X-User: 7'], ['/', 'X-User: 8']],
  ['values in another case', HEADER, ['/', 'X-User: a'], ['/', 'X-User: A']],
  ['values of a cookie', COOKIE, ['/', 'Cookie: SID=7'], ['/', 'Cookie: SID=77']],
]

for (const [what, on, [target, ...fields], [otherTarget, ...otherFields]] of DIFFERENT) {
  t.test(`${what} hash apart`, async (t) => {
    t.not(hashOf(on, target, fields), hashOf(on, otherTarget, otherFields))
  })
}

const NONE: readonly [string, HashOn, readonly string[]][] = [
  ['the source decides', { by: 'source' }, ['X-User: 7']],
  ['the header is not there', HEADER, ['X-Users: 7']],
  ['the cookie is not there', COOKIE, ['Cookie: SIDE=7; XSID=8; sid=9; SID']],
  ['there is no cookie at all', COOKIE, ['X-User: SID=7']],
]

for (const [why, on, fields] of NONE) {
  t.test(`there is no hash where ${why}`, async (t) => {
    t.equal(hashOf(on, '/', fields), -1)
  })
}
