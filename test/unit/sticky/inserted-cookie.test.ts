import t from 'tap'
import { cookieValue, InsertedCookie } from '../../../src/sticky/inserted-cookie.js'

const OPTIONS = { name: 'CASTOR', maxAgeSeconds: 0, secret: 's', group: 'app' }
const TARGETS = Array.from({ length: 50 }, (_, i) => ({ slot: i * 3, id: `10.0.0.${i}:80` }))

function slotOf(cookie: InsertedCookie, value: string): number {
  const bytes = Buffer.from(`xx${value}yy`, 'latin1')
  return cookie.slotOf(bytes, 2, bytes.length - 2)
}

const LINES: readonly [string, object, RegExp, boolean?][] = [
  ['a session cookie', {}, /^Set-Cookie: CASTOR=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax\r\n$/],
  ['one with an age', { maxAgeSeconds: 60 }, /=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60\r\n$/],
  ['one for https', {}, /SameSite=Lax; Secure\r\n$/, true],
]

for (const [name, more, line, secure = false] of LINES) {
  t.test(`the line of ${name}`, async (t) => {
    const cookie = new InsertedCookie({ ...OPTIONS, ...more }, TARGETS)
    t.match(Buffer.from(cookie.lineFor(3, secure)!).toString('latin1'), line)
  })
}

t.test('each value names its target, also where another host has other slots', async (t) => {
  const here = new InsertedCookie(OPTIONS, TARGETS)
  const there = new InsertedCookie(
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
  const cookie = new InsertedCookie(OPTIONS, TARGETS)
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
