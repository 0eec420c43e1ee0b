import t from 'tap'
import { hashText, mix } from '../../../src/balance/hash.js'
import { SourceIp } from '../../../src/balance/source-ip.js'
import type { PickKey } from '../../../src/core/balancer.js'
import { client, TestView } from './views.js'

const CLIENTS = 20_000
const picks = (view: TestView, tried: readonly number[] = []): number[] => {
  const balancer = new SourceIp()
  return Array.from({ length: CLIENTS }, (_, n) => balancer.pick(view, client(n), tried))
}

t.test('a client keeps its target, whatever its port', async (t) => {
  const view = new TestView([5, 3, 2])
  const balancer = new SourceIp()
  for (let n = 0; n < 100; n++) {
    const first = balancer.pick(view, client(n), [])
    for (const port of [1, 80, 65_535]) {
      const key: PickKey = { client: { ...client(n).client, port }, hash: -1 }
      if (balancer.pick(view, key, []) !== first) t.fail('the target changed with the port')
    }
  }
  t.equal(view.tickets, 0, 'no ticket is taken')
})

t.test('hosts that number and list the targets differently agree', async (t) => {
  const here = new TestView([5, 3, 2, 2])
  const there = new TestView([])
  there.targets = here.targets.map(({ id, weight }, i) => ({ id, weight, slot: 400 - i })).reverse()
  const idsOf = (view: TestView): string[] => {
    const ids = new Map(view.targets.map(({ slot, id }) => [slot, id]))
    return picks(view).map((slot) => ids.get(slot)!)
  }
  t.same(idsOf(here), idsOf(there))
})

t.test('the choice is the same in every release', async (t) => {
  // A change here moves every client of every installation to another target while hosts run different releases.
  const view = new TestView([10, 10, 10, 10])
  const balancer = new SourceIp()
  const addresses = ['192.0.2.1', '192.0.2.2', '198.51.100.77', '2001:db8::1', '2001:db8::2']
  const slots = addresses.map((address) =>
    balancer.pick(view, { client: { family: 4, address, port: 1 }, hash: -1 }, []),
  )
  t.same(slots, [10, 30, 40, 40, 30])
})

t.test('when a target leaves only its clients move, and spread over the others by weight', async (t) => {
  const before = picks(new TestView([10, 20, 10, 10]))
  const after = picks(new TestView([10, 0, 10, 10]))
  const moved = before.map((slot, n) => ({ slot, now: after[n]! })).filter(({ slot, now }) => slot !== now)
  t.ok(moved.every(({ slot }) => slot === 20))
  for (const slot of [10, 30, 40]) {
    const share = moved.filter(({ now }) => now === slot).length / moved.length
    t.ok(Math.abs(share - 1 / 3) < 0.03, `${slot} took ${(share * 100).toFixed(1)} %`)
  }
})

t.test('when a weight rises clients move only to that target', async (t) => {
  const before = picks(new TestView([10, 10, 10]))
  const after = picks(new TestView([10, 10, 15]))
  const moved = after.filter((slot, n) => slot !== before[n])
  t.ok(moved.length > 0 && moved.every((slot) => slot === 30))
})

t.test('a tried target gives way to the one the client would have without it', async (t) => {
  t.same(picks(new TestView([10, 20, 10]), [20]), picks(new TestView([10, 0, 10])))
})

t.test('neighbouring addresses spread over all targets', async (t) => {
  const view = new TestView(Array.from({ length: 10 }, () => 10))
  const balancer = new SourceIp()
  const counts = new Map<number, number>()
  for (let n = 0; n < 1_000; n++) {
    const key: PickKey = { client: { family: 6, address: `2001:db8::${n.toString(16)}`, port: 1 }, hash: -1 }
    const slot = balancer.pick(view, key, [])
    counts.set(slot, (counts.get(slot) ?? 0) + 1)
  }
  for (const [slot, count] of counts) t.ok(count > 60 && count < 140, `${slot}: ${count}`)
  t.equal(counts.size, 10)
})

t.test('mix changes about half the bits for each bit that changes', async (t) => {
  for (let bit = 0; bit < 32; bit++) {
    let changed = 0
    for (let n = 0; n < 500; n++) {
      const value = hashText(`client ${n}`)
      for (let x = mix(value) ^ mix(value ^ (1 << bit)); x !== 0; x &= x - 1) changed++
    }
    const mean = changed / 500
    if (mean < 14 || mean > 18) t.fail(`bit ${bit} changes ${mean} of 32`)
  }
})
