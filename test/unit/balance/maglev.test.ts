import t from 'tap'
import { Maglev, maglevTable, TABLE_SIZE } from '../../../src/balance/maglev.js'
import { client, TestView } from './views.js'

const targets = (count: number, weight = (_: number): number => 10) =>
  Array.from({ length: count }, (_, slot) => ({ slot, id: `10.0.${slot >> 8}.${slot & 255}:80`, weight: weight(slot) }))

function counts(table: Int32Array): Map<number, number> {
  const found = new Map<number, number>()
  for (const slot of table) found.set(slot, (found.get(slot) ?? 0) + 1)
  return found
}

t.test('every place is taken, by weight', async (t) => {
  const list = targets(4, (slot) => [50, 30, 19, 1][slot]!)
  const found = counts(maglevTable(list))
  for (const { slot, weight } of list) {
    const share = (found.get(slot) ?? 0) / TABLE_SIZE
    t.ok(
      Math.abs(share - weight / 100) < 0.005,
      `target ${slot} has ${(share * 100).toFixed(2)} % for weight ${weight}`,
    )
  }
})

t.test('removing one of a hundred targets moves under 2 % of the others’ keys', async (t) => {
  const list = targets(100)
  const before = maglevTable(list)
  for (const gone of [0, 42, 99]) {
    const after = maglevTable(list.filter(({ slot }) => slot !== gone))
    let moved = 0
    let others = 0
    for (let place = 0; place < TABLE_SIZE; place++) {
      if (before[place] === gone) continue
      others++
      if (before[place] !== after[place]) moved++
    }
    t.ok(moved / others < 0.02, `${((moved / others) * 100).toFixed(2)} % moved without target ${gone}`)
    t.notOk(counts(after).has(gone))
  }
})

t.test('the table is the same whatever the order of the targets', async (t) => {
  const list = targets(20, (slot) => 1 + (slot % 7))
  t.same(maglevTable([...list].reverse()), maglevTable(list))
})

t.test('the same hash gets the same target; without one the client’s address decides', async (t) => {
  const view = new TestView([5, 3, 2])
  const balancer = new Maglev()
  const picked = new Set<number>()
  for (let n = 0; n < 200; n++) {
    const bySource = balancer.pick(view, client(n), [])
    t.equal(balancer.pick(view, { ...client(n), client: { ...client(n).client, port: 9 } }, []), bySource)
    picked.add(balancer.pick(view, { ...client(n), hash: 77 }, []))
  }
  t.equal(picked.size, 1, 'one hash, one target, whoever sends it')
})
