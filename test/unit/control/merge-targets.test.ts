import fc from 'fast-check'
import t from 'tap'
import { canonicalTarget } from '../../../src/config/addresses.js'
import { type MergedTarget, mergeTargets, type RunningTarget } from '../../../src/control/merge-targets.js'
import type { TargetConfig } from '../../../src/core/config.js'
import { SEED } from '../../random.js'

const of = (id: string, port: number, weight = 10): TargetConfig => ({ id, host: '10.0.0.1', port, weight })
const runs = (config: TargetConfig, more: Partial<RunningTarget> = {}): RunningTarget => ({
  ...config,
  state: 'active',
  isLeaving: false,
  ...more,
})
const shown = (merged: readonly MergedTarget[]): string[] =>
  merged.map(({ config, weight, state }) => `${config.id}@${config.port} ${weight} ${state}`)

const A = of('a', 1)
const B = of('b', 2)
const X = of('x', 9)

t.test('what operators changed survives a reload, unless the file changes the same thing', async (t) => {
  const cases: [string, TargetConfig[], TargetConfig[], RunningTarget[], string[]][] = [
    ['nothing changed', [A, B], [A, B], [runs(A), runs(B)], ['a@1 10 active', 'b@2 10 active']],
    ['a weight of the operator’s holds', [A], [A, B], [runs(A, { weight: 3 })], ['a@1 3 active', 'b@2 10 active']],
    ['the file’s new weight wins', [A], [{ ...A, weight: 20 }], [runs(A, { weight: 3 })], ['a@1 20 active']],
    [
      'a drained target stays drained',
      [A],
      [{ ...A, weight: 20 }],
      [runs(A, { state: 'draining' })],
      ['a@1 20 draining'],
    ],
    [
      'one in maintenance stays there',
      [A, B],
      [A],
      [runs(A, { state: 'maintenance' }), runs(B)],
      ['a@1 10 maintenance'],
    ],
    ['one that was added stays', [A], [A], [runs(A), runs(X, { weight: 4 })], ['a@1 10 active', 'x@9 4 active']],
    [
      'one that was added goes with its group’s others only by the operator',
      [A],
      [],
      [runs(A), runs(X)],
      ['x@9 10 active'],
    ],
    [
      'the file takes over one that was added',
      [A],
      [A, { ...X, weight: 7 }],
      [runs(A), runs(X, { weight: 4, state: 'draining' })],
      ['a@1 10 active', 'x@9 7 draining'],
    ],
    [
      'the file adds the same server by another id',
      [A],
      [A, of('y', 9)],
      [runs(A), runs(X)],
      ['a@1 10 active', 'y@9 10 active'],
    ],
    ['one that was removed stays away', [A, B], [A, B], [runs(A)], ['a@1 10 active']],
    ['also while it still drains', [A, B], [A, B], [runs(A), runs(B, { isLeaving: true })], ['a@1 10 active']],
    ['also when the file changes its weight', [A, B], [A, { ...B, weight: 1 }], [runs(A)], ['a@1 10 active']],
    [
      'the file gives one that was removed another address',
      [A, B],
      [A, of('b', 5)],
      [runs(A)],
      ['a@1 10 active', 'b@5 10 active'],
    ],
    [
      'the file removes one that the operator changed',
      [A, B],
      [A],
      [runs(A), runs(B, { weight: 3 })],
      ['a@1 10 active'],
    ],
    ['one that leaves by an earlier file leaves', [A], [A], [runs(A), runs(B, { isLeaving: true })], ['a@1 10 active']],
    [
      'the file brings back one that leaves',
      [A],
      [A, B],
      [runs(A), runs(B, { isLeaving: true })],
      ['a@1 10 active', 'b@2 10 active'],
    ],
    [
      'another address keeps weight and state',
      [A],
      [of('a', 4)],
      [runs(A, { weight: 3, state: 'draining' })],
      ['a@4 3 draining'],
    ],
  ]
  for (const [name, before, after, running, expected] of cases)
    t.same(shown(mergeTargets(before, after, running)), expected, name)
})

const states = fc.constantFrom('active', 'draining', 'maintenance') as fc.Arbitrary<RunningTarget['state']>
const target = fc
  .record({
    id: fc.constantFrom(...'abcdef'),
    port: fc.integer({ min: 1, max: 8 }),
    weight: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ id, port, weight }) => of(id, port, weight))
/** As the checks demand: no id and no server twice. */
const file = fc
  .uniqueArray(target, { selector: ({ id }) => id, maxLength: 6 })
  .map((all) => all.filter((one, index) => all.findIndex((other) => other.port === one.port) === index))
const running = fc
  .tuple(file, fc.array(fc.tuple(states, fc.boolean()), { minLength: 6, maxLength: 6 }))
  .map(([all, more]) => all.map((one, index) => runs(one, { state: more[index]![0], isLeaving: more[index]![1] })))
const options = { seed: SEED, numRuns: 2_000 }

const byId = (merged: readonly MergedTarget[]) => new Map(merged.map((one) => [one.config.id, one]))
const asRunning = (merged: readonly MergedTarget[]): RunningTarget[] =>
  merged.map(({ config, weight, state }) => runs(config, { weight, state }))

t.test('whatever the three versions are, no id and no server is there twice', async () => {
  fc.assert(
    fc.property(file, file, running, (before, after, now) => {
      const merged = mergeTargets(before, after, now)
      const servers = merged.map(({ config }) => canonicalTarget(config.host, config.port))
      return byId(merged).size === merged.length && new Set(servers).size === merged.length
    }),
    options,
  )
})

t.test('without changes by operators the new file holds as it is', async () => {
  fc.assert(
    fc.property(file, file, (before, after) => {
      const merged = mergeTargets(
        before,
        after,
        before.map((one) => runs(one)),
      )
      const plain = merged.map(({ config, weight, state }) => `${JSON.stringify(config)} ${weight} ${state}`)
      return plain.join() === after.map((one) => `${JSON.stringify(one)} ${one.weight} active`).join()
    }),
    options,
  )
})

t.test('an unchanged file changes nothing that operators did', async () => {
  fc.assert(
    fc.property(file, running, (before, now) => {
      // Operators cannot give an id of the file another address, nor have a server twice.
      const possible = now.filter(({ id, port }) => {
        const own = before.find((one) => one.id === id)
        return own === undefined ? !before.some((one) => one.port === port) : own.port === port
      })
      const merged = byId(mergeTargets(before, before, possible))
      const stays = possible.filter(({ isLeaving }) => !isLeaving)
      return (
        merged.size === stays.length &&
        stays.every(({ id, weight, state }) => merged.get(id)?.weight === weight && merged.get(id)?.state === state)
      )
    }),
    options,
  )
})

t.test('the same file once more changes nothing', async () => {
  fc.assert(
    fc.property(file, file, running, (before, after, now) => {
      const once = mergeTargets(before, after, now)
      const twice = mergeTargets(after, after, asRunning(once))
      return (
        [...byId(once)].every(([id, { weight, state }]) => {
          const again = byId(twice).get(id)
          return again?.weight === weight && again.state === state
        }) && once.length === twice.length
      )
    }),
    options,
  )
})
