import t from 'tap'
import { KEPT_KEYS, LocalTicketKeys } from '../../../src/control/ticket-keys.js'
import { TICKET_KEY_BYTES } from '../../../src/core/tls.js'
import { until } from '../../integration/support/until.js'

const at = (keys: Uint8Array, index: number): string =>
  Buffer.from(keys.subarray(index * TICKET_KEY_BYTES, (index + 1) * TICKET_KEY_BYTES)).toString('hex')

t.test('the newest key comes first, and the two before it stay', (t) => {
  const store = new LocalTicketKeys()
  const told: Uint8Array[] = []
  store.onChange = (keys) => told.push(keys)
  const made = [at(store.current, 0)]
  for (let i = 1; i < 6; i++) {
    store.rotate()
    made.unshift(at(store.current, 0))
    const count = Math.min(i + 1, KEPT_KEYS)
    t.equal(store.current.length, count * TICKET_KEY_BYTES)
    t.same(
      Array.from({ length: count }, (_, index) => at(store.current, index)),
      made.slice(0, count),
    )
    t.equal(told.length, i)
    t.equal(told.at(-1), store.current)
  }
  t.equal(new Set(made).size, made.length, 'no key is made twice')
  t.end()
})

t.test('keys from outside take the place of its own, and only whole ones', (t) => {
  const store = new LocalTicketKeys()
  let told = 0
  store.onChange = () => told++
  const shared = Buffer.alloc(2 * TICKET_KEY_BYTES, 7)
  store.adopt(shared)
  shared.fill(0)
  t.equal(at(store.current, 1), Buffer.alloc(TICKET_KEY_BYTES, 7).toString('hex'), 'a copy')
  t.equal(told, 1)
  for (const length of [0, 1, TICKET_KEY_BYTES - 1, TICKET_KEY_BYTES + 1]) {
    t.throws(() => store.adopt(new Uint8Array(length)), RangeError, `${length} bytes`)
  }
  t.equal(told, 1)
  t.end()
})

t.test('keys change by themselves until stopped', async (t) => {
  const store = new LocalTicketKeys(5)
  let told = 0
  store.onChange = () => told++
  store.start()
  const idle = setInterval(() => {}, 1000)
  await until('three changes', () => told >= 3)
  clearInterval(idle)
  store.stop()
  store.stop()
  t.ok(told >= 3)
})
