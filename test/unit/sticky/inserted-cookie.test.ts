import t from 'tap'
import { cookieValue, InsertedCookie, type InsertedCookieOptions } from '../../../src/sticky/inserted-cookie.js'

const OPTIONS: InsertedCookieOptions = {
  name: 'CASTOR',
  maxAgeSeconds: 0,
  sameSite: 'lax',
  domain: '',
  secure: 'auto',
  secret: 's',
  group: 'app',
}
const TARGETS = Array.from({ length: 50 }, (_, i) => ({ slot: i * 3, id: `10.0.0.${i}:80` }))

function make(options: InsertedCookieOptions, targets: readonly { slot: number; id: string }[]): InsertedCookie {
  const cookie = new InsertedCookie(options)
  cookie.setTargets(targets)
  return cookie
}

function slotOf(cookie: InsertedCookie, value: string): number {
  const bytes = Buffer.from(`xx${value}yy`, 'latin1')
  return cookie.slotOf(bytes, 2, bytes.length - 2)
}

const LINES: readonly [string, object, RegExp, boolean?][] = [
  ['a session cookie', {}, /^Set-Cookie: CASTOR=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax\r\n$/],
  ['one with an age', { maxAgeSeconds: 60 }, /=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60\r\n$/],
  ['one for https', {}, /SameSite=Lax; Secure\r\n$/, true],
  ['one that is never Secure', { secure: false }, /SameSite=Lax\r\n$/, true],
  ['one that always is', { secure: true, sameSite: 'none' }, /SameSite=None; Secure\r\n$/],
  ['one of a domain', { domain: 'a.example' }, /; Path=\/; Domain=a\.example; HttpOnly; SameSite=Lax\r\n$/],
]

for (const [name, more, line, secure = false] of LINES) {
  t.test(`the line of ${name}`, async (t) => {
    t.match(Buffer.from(make({ ...OPTIONS, ...more }, TARGETS).lineFor(3, secure)!).toString('latin1'), line)
  })
}

t.test('each value names its target, also where another host has other slots', async (t) => {
  const here = make(OPTIONS, TARGETS)
  const there = make(
    OPTIONS,
    TARGETS.map(({ slot, id }) => ({ slot: 1_000 - slot, id })),
  )
  for (const { slot, id } of TARGETS) {
    const value = cookieValue('s', 'app', id)
    t.equal(slotOf(here, value), slot)
    t.equal(slotOf(there, value), 1_000 - slot)
  }
})

t.test('what nobody issued names nothing', async (t) => {
  const cookie = make(OPTIONS, TARGETS)
  const value = cookieValue('s', 'app', TARGETS[0]!.id)
  const others = [
    '',
    value.slice(1),
    `${value}0`,
    value.toUpperCase(),
    `${value.slice(0, 31)}${value.endsWith('0') ? '1' : '0'}`,
    cookieValue('other', 'app', TARGETS[0]!.id),
    cookieValue('s', 'other', TARGETS[0]!.id),
  ]
  // A value of digits alone has no upper case to differ by.
  for (const other of others) if (other !== value) t.equal(slotOf(cookie, other), -1, other)
  t.equal(cookie.lineFor(1, false), undefined)
})

t.test('a target that is gone has no cookie, and its cookie names nothing', async (t) => {
  const cookie = make(OPTIONS, TARGETS)
  const [gone, ...left] = TARGETS
  cookie.setTargets(left)
  t.equal(slotOf(cookie, cookieValue('s', 'app', gone!.id)), -1)
  t.equal(cookie.lineFor(gone!.slot, false), undefined)
  t.equal(slotOf(cookie, cookieValue('s', 'app', left[0]!.id)), left[0]!.slot)
})
