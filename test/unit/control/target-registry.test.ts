import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { capacityFor } from '../../../src/control/next-snapshot.js'
import { TargetRegistry } from '../../../src/control/target-registry.js'
import { Versions } from '../../../src/control/versions.js'
import type { GroupTargets } from '../../../src/core/directory.js'
import {
  ADMIN_ACTIVE,
  ADMIN_DRAINING,
  ADMIN_MAINTENANCE,
  CHECK_INITIAL,
  CHECK_UNCHECKED,
} from '../../../src/core/target-state.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { TARGET_CONNECTIONS, TARGET_REQUESTS, WORKER_TARGET_LISTS } from '../../../src/shm/layout.js'
import { TargetTable } from '../../../src/shm/targets.js'

import { firstSnapshot } from '../../snapshots.js'

const NOW_MS = 1_700_000_000_000
const DRAINING_MS = 60_000

const CONFIG = parseConfig(
  `
workers: 2
reserve: { targets: 2 }
listeners: [{ name: in, protocol: http, listen: "127.0.0.1:0", targetGroup: app }]
targetGroups:
  - { name: app, protocol: http, draining: 60s, targets: [{ address: "10.0.0.1:80", id: one }, { address: "10.0.0.2:80", id: two }] }
  - { name: held, protocol: http, draining: 60s, stickiness: { type: cookie }, healthCheck: { protocol: off }, targets: [{ address: "10.0.0.3:80", id: three }] }
`,
  'test.yaml',
)

const SLOW_CONFIG = parseConfig(
  `
reserve: { targets: 2 }
listeners: [{ name: in, protocol: http, listen: "127.0.0.1:0", targetGroup: slow }]
targetGroups:
  - { name: slow, protocol: http, draining: 60s, slowStart: 30s, healthCheck: { protocol: off }, targets: [{ address: "10.0.0.4:80", id: four }, { address: "slow.example:80", id: five }] }
  - { name: quick, protocol: http, targets: [{ address: "10.0.0.1:80", id: one }] }
`,
  'test.yaml',
)

function setting(config = CONFIG) {
  const shared = createSharedCounters(capacityFor(config, firstSnapshot(config)))
  const columns = new Columns(shared)
  const table = new TargetTable(shared.segments)
  const published: GroupTargets[] = []
  const grown: number[] = []
  const gone: string[] = []
  const resolved: string[] = []
  const names = new Map<string, string>()
  const registry = new TargetRegistry(
    firstSnapshot(config).groups,
    {
      table,
      columns,
      addresses: {
        of: (host) => names.get(host) ?? (/\d$/.test(host) ? host : ''),
        resolve: async (host) => {
          resolved.push(host)
        },
      },
      versions: new Versions(),
      tell: (message) => {
        if (message.type === 'segment') grown.push(message.segment.count.targets)
        else published.push(message.targets)
      },
      onGone: ({ id }) => gone.push(id),
    },
    NOW_MS,
  )
  /** What threads do when a list comes. */
  const takeOn = (version: number, ...columnsOf: number[]): void => {
    table.probeLists = version
    for (const column of columnsOf) columns.workerWords[columns.workerAt(column) + WORKER_TARGET_LISTS] = version
  }
  return { columns, table, published, grown, gone, resolved, names, registry, takeOn }
}

let hosts = 0
const target = (id: string, host = `10.9.0.${++hosts}`) => ({ id, host, port: 80, weight: 7 })
const slotOf = (registry: TargetRegistry, id: string): number => registry.all.find((each) => each.id === id)!.slot
const add = (registry: TargetRegistry, id: string, host?: string) => registry.add(0, target(id, host), () => NOW_MS)

t.test('the targets of the configuration are there, unproven where they are checked', async (t) => {
  const { registry, table, published } = setting()
  t.same(
    registry.lists().map(({ group, targets }) => [group, targets.map(({ id, slot }) => [id, slot])]),
    [
      [
        0,
        [
          ['one', 0],
          ['two', 1],
        ],
      ],
      [1, [['three', 2]]],
    ],
  )
  t.equal(table.check(0), CHECK_INITIAL)
  t.equal(table.check(2), CHECK_UNCHECKED)
  t.equal(table.weight(1), 10)
  t.same(
    [...registry.hosts()].map(({ host }) => host),
    ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  )
  t.same(published, [], 'threads that start are given them')
})

t.test('each change publishes the whole list of its group, with a version that grows over all groups', async (t) => {
  const { registry, published, resolved } = setting()
  t.equal(await add(registry, 'four', 'app.example'), 'added')
  t.same(resolved, ['app.example'], 'looked up before it is there')
  registry.remove(slotOf(registry, 'three'), true, NOW_MS)
  t.equal(await add(registry, 'four'), 'exists')
  t.same(
    published.map(({ group, version, targets }) => [group, version, targets.map(({ id }) => id)]),
    [
      [0, 2, ['one', 'two', 'four']],
      [1, 3, []],
    ],
  )
  t.same(
    registry.lists().map(({ version }) => version),
    [2, 3],
  )
})

/** Takes what places are free, `held` being those that were left and are not: the next target needs one of these, or more room. */
async function fillUp(registry: TargetRegistry, columns: Columns, held = 0): Promise<void> {
  while (registry.all.length + held < columns.capacity.targets) await add(registry, `filling-${registry.all.length}`)
}

t.test('where no place is free the tables grow, and those of before keep theirs', async (t) => {
  const { registry, columns, table, grown, published } = setting()
  await fillUp(registry, columns)
  t.equal(registry.all.length, 5)
  const before = registry.all.map(({ id, slot }) => [id, slot])
  const { words } = columns.target(4)
  words[columns.target(4).at(2) + TARGET_REQUESTS] = 9
  t.equal(await add(registry, 'six'), 'added')
  t.same(grown, [16], 'at least that much at once')
  t.equal(slotOf(registry, 'six'), 5)
  t.same(
    published.at(-1)!.targets.map(({ slot }) => slot),
    [0, 1, 3, 4, 5],
  )
  t.same(
    registry.all.filter(({ id }) => id !== 'six').map(({ id, slot }) => [id, slot]),
    before,
  )
  t.equal(columns.target(4).sum(TARGET_REQUESTS), 9)
  table.setWeight(5, 3)
  t.same([table.weight(4), table.weight(5)], [7, 3])
  await fillUp(registry, columns)
  t.same(grown, [16], 'as long as there is room')
  t.equal(await add(registry, 'more'), 'added')
  t.same(grown, [16, 21], 'as much again')
  t.equal(new Set(registry.all.map(({ slot }) => slot)).size, registry.all.length)
})

t.test('a place is given out again when nobody refers to it, and not before', async (t) => {
  const { registry, columns, table, takeOn } = setting()
  t.equal(await add(registry, 'four'), 'added')
  await fillUp(registry, columns)
  const slot = slotOf(registry, 'four')
  const [before] = registry.all.filter(({ id }) => id === 'four')
  const { words } = columns.target(slot)
  const inFlight = columns.inFlightOf(slot).at(2)
  const open = columns.target(slot).at(1) + TARGET_CONNECTIONS
  words[columns.target(slot).at(1) + TARGET_REQUESTS] = 5
  words[inFlight] = 1
  words[open] = 1
  registry.remove(slot, true, NOW_MS)
  const { version } = registry.lists()[0]!

  const steps: [string, () => void][] = [
    ['no thread has the list', () => {}],
    ['one worker lacks it', () => takeOn(version, 1)],
    ['a request is with it', () => takeOn(version, 1, 2)],
    ['a connection is open', () => (words[inFlight] = 0)],
  ]
  for (const [at, [name, step]] of steps.entries()) {
    const id = `step-${at}`
    step()
    for (let look = 0; look < 4; look++) registry.look(NOW_MS)
    await fillUp(registry, columns, 1)
    t.equal(await add(registry, id), 'added')
    t.not(slotOf(registry, id), slot, name)
  }
  words[open] = 0
  registry.look(NOW_MS)
  await fillUp(registry, columns, 1)
  t.equal(await add(registry, 'seven'), 'added')
  t.not(slotOf(registry, 'seven'), slot, 'quiet once may be between two requests')
  await fillUp(registry, columns, 1)
  registry.look(NOW_MS)
  t.equal(await add(registry, 'six'), 'added')
  const [after] = registry.all.filter(({ id }) => id === 'six')
  t.equal(after!.slot, slot)
  t.equal(after!.generation, before!.generation + 1)
  t.equal(table.generation(slot), after!.generation)
  t.equal(columns.target(slot).sum(TARGET_REQUESTS), 0, 'nothing is left of the other')
  t.equal(table.weight(slot), 7)
})

t.test('a worker that is being replaced holds a place until it is back', async (t) => {
  const { registry, columns, takeOn } = setting()
  t.equal(await add(registry, 'four'), 'added')
  await fillUp(registry, columns)
  const slot = slotOf(registry, 'four')
  registry.remove(slot, true, NOW_MS)
  takeOn(99, 1, 2)
  columns.retire(2)
  for (let look = 0; look < 4; look++) registry.look(NOW_MS)
  t.equal(await add(registry, 'six'), 'added')
  t.not(slotOf(registry, 'six'), slot)
  await fillUp(registry, columns, 1)
  takeOn(99, 2)
  for (let look = 0; look < 2; look++) registry.look(NOW_MS)
  t.equal(await add(registry, 'seven'), 'added')
  t.equal(slotOf(registry, 'seven'), slot)
})

t.test('a target that is removed drains for its group’s time', async (t) => {
  const { registry, table, gone, columns } = setting()
  const leavesMs = registry.remove(0, false, NOW_MS)
  t.equal(leavesMs, NOW_MS + DRAINING_MS)
  t.equal(registry.remove(0, false, NOW_MS + 5), leavesMs, 'asking again changes nothing')
  t.equal(table.admin(0), ADMIN_DRAINING)
  t.equal(table.drainUntilMs(0), leavesMs)
  columns.inFlightOf(0).words[columns.inFlightOf(0).at(1)] = 1
  registry.look(leavesMs - 1)
  t.same(gone, [], 'one request is with it')
  registry.look(leavesMs)
  t.same(gone, ['one'])
})

t.test('it goes sooner when the last request is over, unless clients may come back to it', async (t) => {
  const { registry, gone } = setting()
  for (const id of ['one', 'three']) registry.remove(slotOf(registry, id), false, NOW_MS)
  registry.look(NOW_MS + 100)
  t.same(gone, [], 'threads may be about to begin with what they picked it for')
  registry.look(NOW_MS + 1_000)
  t.same(gone, ['one'])
  registry.look(NOW_MS + DRAINING_MS)
  t.same(gone, ['one', 'three'])
})

t.test('active keeps a target that was to go; draining again does not prolong its time', async (t) => {
  const { registry, table, gone } = setting()
  const leavesMs = registry.remove(0, false, NOW_MS)
  registry.setState(0, 'draining', NOW_MS + 1_000)
  t.equal(table.drainUntilMs(0), leavesMs)
  registry.setState(0, 'active', NOW_MS + 2_000)
  t.equal(table.admin(0), ADMIN_ACTIVE)
  registry.look(leavesMs + 1)
  t.same(gone, [])
  t.equal(registry.all[0]!.leavesMs, undefined)
})

t.test('an address that changes is published for the groups that it concerns', async (t) => {
  const { registry, published, names } = setting()
  await add(registry, 'named', 'app.example')
  published.length = 0
  registry.readdress(NOW_MS)
  t.same(published, [], 'nothing has changed')
  names.set('app.example', '10.9.9.9')
  registry.readdress(NOW_MS)
  t.same(
    published.map(({ group, targets }) => [group, targets.at(-1)!.address]),
    [[0, '10.9.9.9']],
  )
})

t.test('what another host’s operator wants holds here, and a removal is this host’s alone', async (t) => {
  const { registry, table } = setting()
  t.same(registry.wishFor(0), { state: 'active', weight: -1, drainUntilMs: 0 })
  registry.setWeight(0, 30, NOW_MS)
  registry.setState(0, 'draining', NOW_MS)
  t.same(registry.wishFor(0), { state: 'draining', weight: 30, drainUntilMs: NOW_MS + DRAINING_MS })
  registry.adopt(0, 'active', -1, 0, NOW_MS)
  t.equal(table.admin(0), ADMIN_ACTIVE)
  t.equal(table.weight(0), 10, 'what it began with')
  const leavesMs = registry.remove(0, false, NOW_MS)
  t.match(registry.wishFor(0), { state: 'active' }, 'other hosts keep it')
  registry.adopt(0, 'active', 20, 0, NOW_MS)
  t.equal(table.admin(0), ADMIN_DRAINING, 'it goes all the same')
  t.equal(table.drainUntilMs(0), leavesMs)
  t.equal(table.weight(0), 20)
})

t.test('slow start begins with whatever brings a target back that had no traffic', async (t) => {
  const LATER_MS = NOW_MS + 1_000
  const CASES: Readonly<Record<string, (registry: TargetRegistry, slot: number) => void>> = {
    'maintenance lifted': (registry, slot) => {
      registry.setState(slot, 'maintenance', NOW_MS)
      registry.setState(slot, 'active', LATER_MS)
    },
    'maintenance lifted on another host': (registry, slot) => {
      registry.setState(slot, 'maintenance', NOW_MS)
      registry.adopt(slot, 'active', -1, 0, LATER_MS)
    },
    'drained, then active again': (registry, slot) => {
      registry.setState(slot, 'draining', NOW_MS - DRAINING_MS)
      registry.setState(slot, 'active', LATER_MS)
    },
    'a weight again': (registry, slot) => {
      registry.setWeight(slot, 0, NOW_MS)
      registry.setWeight(slot, 5, LATER_MS)
    },
  }
  for (const [name, change] of Object.entries(CASES)) {
    const { registry, table } = setting(SLOW_CONFIG)
    const slot = slotOf(registry, 'four')
    t.equal(table.rampFromMs(slot), 0)
    change(registry, slot)
    t.equal(table.rampFromMs(slot), LATER_MS, name)
  }
  const { registry, table, names } = setting(SLOW_CONFIG)
  const [still, named] = [slotOf(registry, 'four'), slotOf(registry, 'five')]
  registry.setState(still, 'draining', NOW_MS)
  registry.setState(still, 'active', LATER_MS)
  registry.setWeight(still, 7, LATER_MS)
  t.equal(table.rampFromMs(still), 0, 'one that still drains is warm, and one that has a weight')
  names.set('slow.example', '10.0.0.5')
  registry.readdress(LATER_MS)
  t.equal(table.rampFromMs(named), LATER_MS, 'another server')
  await registry.add(0, target('new'), () => LATER_MS)
  t.equal(table.rampFromMs(slotOf(registry, 'new')), LATER_MS, 'one that is new, where nothing is checked')
  const quick = slotOf(registry, 'one')
  registry.setState(quick, 'maintenance', NOW_MS)
  registry.setState(quick, 'active', LATER_MS)
  t.equal(table.rampFromMs(quick), 0, 'a group without slow start')
})

t.test('the same server is added once, whatever it is called', async (t) => {
  const { registry, names } = setting()
  names.set('app.example', '10.0.0.1')
  const server = (id: string, host: string, port = 80) => ({ id, host, port, weight: 7 })
  for (const [id, host] of [
    ['again', '10.0.0.1'],
    ['mapped', '::ffff:10.0.0.1'],
    ['named', 'app.example'],
  ] as const) {
    t.equal(await registry.add(0, server(id, host), () => NOW_MS), 'exists', id)
  }
  t.equal(
    await registry.add(0, server('port', '10.0.0.1', 81), () => NOW_MS),
    'added',
    'another port is another server',
  )
  t.equal(await registry.add(1, server('group', '10.0.0.1'), () => NOW_MS), 'added', 'as is another group’s')
})

/** The first group as the file has it now. */
function entryOf(targets: readonly { id: string; host: string; port: number; weight: number }[]) {
  const { groups } = firstSnapshot(CONFIG)
  const changed = { ...groups[0]!, config: { ...groups[0]!.config, targets } }
  return [changed, ...groups.slice(1)]
}

t.test('what an operator wants of a target holds when the file gives it another address', async (t) => {
  const { registry, table } = setting()
  const [one, two] = CONFIG.targetGroups[0]!.targets
  registry.setState(slotOf(registry, 'one'), 'maintenance', NOW_MS)
  registry.apply(entryOf([{ ...one!, host: '10.0.0.8' }, two!]), 2, NOW_MS)
  const moved = registry.all.find(({ host }) => host === '10.0.0.8')!
  t.equal(table.admin(moved.slot), ADMIN_MAINTENANCE)
  t.equal(registry.wishFor(moved.slot).state, 'maintenance')
})

t.test(
  'of two targets by one id the last is the one in force, also when the file goes back to the first',
  async (t) => {
    const { registry } = setting()
    const [one, two] = CONFIG.targetGroups[0]!.targets
    const inForce = () => registry.all.findLast(({ id }) => id === 'one')!
    registry.apply(entryOf([{ ...one!, host: '10.0.0.8' }, two!]), 2, NOW_MS)
    t.match(inForce(), { host: '10.0.0.8', leavesMs: undefined })
    registry.apply(entryOf([one!, two!]), 3, NOW_MS)
    t.match(inForce(), { host: '10.0.0.1', leavesMs: undefined })
    t.equal(registry.all.filter(({ id, leavesMs }) => id === 'one' && leavesMs !== undefined).length, 1)
  },
)

t.test('a target that was to be added while its group went away is not', async (t) => {
  const { registry, table, columns } = setting()
  const groups = firstSnapshot(CONFIG).groups.slice(1)
  const adding = add(registry, 'late')
  registry.apply([undefined, ...groups], 2, NOW_MS)
  t.equal(await adding, 'no-group')
  t.equal(await add(registry, 'later'), 'no-group', 'nor is one after that')
  registry.look(NOW_MS + DRAINING_MS)
  t.notOk(registry.isGone(0), 'not before every thread has let go of its targets')
  for (const column of [1, 2]) columns.workerWords[columns.workerAt(column) + WORKER_TARGET_LISTS] = 9
  table.probeLists = 9
  registry.look(NOW_MS + DRAINING_MS)
  t.ok(registry.isGone(0), 'and the group goes with its last target')
})
