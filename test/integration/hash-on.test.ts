import t from 'tap'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { patch } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { eventually } from './support/waiting.js'

const KEYS = 60

/** A request for each key that a group may hash on; `nth` says how often it was asked, and changes what must not matter. */
const CASES: readonly [string, string, (key: string, nth: number) => string][] = [
  [
    'header',
    'header:X-User',
    (key, nth) => get(`/${nth}`, [`X-Other: ${nth}`, `${nth % 2 ? 'X-User' : 'x-user'}: ${key}`]),
  ],
  ['cookie', 'cookie:SID', (key, nth) => get(`/${nth}`, [`Cookie: n=${nth}; SID=${key}; z=1`])],
  ['path', 'path', (key, nth) => get(`/${key}?nth=${nth}`, [`X-User: ${nth}`])],
]

async function start(t: Test, hashOn: string): Promise<{ castor: TestCastor; targets: RawTarget[] }> {
  const targets = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      RawTarget.start({ answer: (_asked, connection) => connection.write(ok(String(index))) }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const addresses = targets.map(({ address }) => address)
  const castor = await startTestCastor(t, addresses, { workers: 3, group: { algorithm: 'maglev', hashOn } })
  return { castor, targets }
}

/** Which target each key goes to, asked over several connections, which are on different threads. */
async function homes(castor: TestCastor, ask: (key: string, nth: number) => string, nth: number): Promise<string[]> {
  const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(castor.port)))
  const found: string[] = []
  for (let key = 0; key < KEYS; key++) {
    const client = clients[(key + nth) % clients.length]!
    found.push((await client.exchange(ask(`key-${key}`, nth))).text)
  }
  for (const client of clients) client.close()
  return found
}

for (const [what, hashOn, ask] of CASES) {
  t.test(`the same ${what} goes to the same target, whichever thread it comes to`, async (t) => {
    const { castor, targets } = await start(t, hashOn)
    const first = await homes(castor, ask, 0)
    t.equal(new Set(first).size, targets.length, 'all targets are used')
    for (let nth = 1; nth < 4; nth++) t.same(await homes(castor, ask, nth), first)

    const gone = targets.length - 1
    await patch(castor, targets[gone]!.address, { state: 'maintenance' })
    const seen = (): number => targets[gone]!.requests.length
    let rest: string[] = []
    await eventually('all threads to know', async () => {
      const before = seen()
      rest = await homes(castor, ask, 4)
      return seen() === before
    })
    const moved = first.filter((home, key) => home !== String(gone) && rest[key] !== home).length
    t.ok(moved <= KEYS / 10, `${moved} of ${KEYS} keys of other targets moved`)
    await patch(castor, targets[gone]!.address, { state: 'active' })
    await eventually('all to be as it was', async () => String(await homes(castor, ask, 5)) === String(first))
  })
}

t.test('without what is hashed on the client’s address decides', async (t) => {
  const { castor } = await start(t, 'header:X-User')
  const found = await homes(castor, (_key, nth) => get(`/${nth}`), 0)
  t.equal(new Set(found).size, 1)
})
