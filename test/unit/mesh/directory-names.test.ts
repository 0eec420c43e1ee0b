import t from 'tap'
import type { TargetGroupConfig } from '../../../src/core/config.js'
import type { GroupTargets } from '../../../src/core/directory.js'
import { DirectoryNames } from '../../../workers/mesh/names.js'

const named = (name: string, slot: number) => ({ slot, generation: 1, since: 1, config: { name } as TargetGroupConfig })
const SNAPSHOT = { groups: [named('app', 0), named('data', 1)] }

function list(group: number, version: number, ...targets: [id: string, slot: number, generation: number][]) {
  const place = { group, host: 'h', port: 80, address: '' }
  return {
    group,
    version,
    targets: targets.map(([id, slot, generation]) => ({ ...place, id, slot, generation })),
  } satisfies GroupTargets
}

t.test('slots are called what the lists of the moment say', async (t) => {
  const names = new DirectoryNames(SNAPSHOT, [list(0, 1, ['a', 0, 1]), list(1, 1, ['a', 1, 1])])
  t.equal(names.targetSlot('app', 'a'), 0)
  t.equal(names.targetSlot('data', 'a'), 1)
  t.equal(names.targetSlot('app', 'b'), -1)
  t.same(names.nameOf(1), { group: 'data', target: 'a' })
  t.equal(names.targetOf(0, 1), 'a')
  t.equal(names.targetOf(0, 2), undefined, 'another target by now')
})

t.test('a list replaces what the group had, and an older one changes nothing', async (t) => {
  const names = new DirectoryNames(SNAPSHOT, [list(0, 1, ['a', 0, 1]), list(1, 1, ['z', 1, 1])])
  names.setTargets(list(0, 4, ['b', 2, 1], ['a', 0, 1]))
  t.equal(names.targetSlot('app', 'b'), 2)
  names.setTargets(list(0, 3, ['c', 3, 1]))
  t.equal(names.targetSlot('app', 'c'), -1, 'an older one')
  names.setTargets(list(0, 5, ['b', 2, 1]))
  t.equal(names.targetSlot('app', 'a'), -1)
  t.equal(names.nameOf(0), undefined)
  t.equal(names.targetOf(0, 1), undefined)
  t.equal(names.targetSlot('data', 'z'), 1, 'another group keeps its own')
  names.setTargets(list(0, 6, ['b', 2, 1], ['d', 0, 2]))
  t.equal(names.targetOf(0, 2), 'd')
  t.equal(names.generation(0), 2)
})
