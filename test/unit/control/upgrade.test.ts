import { pack } from 'msgpackr'
import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { capacityFor } from '../../../src/control/next-snapshot.js'
import { TargetRegistry } from '../../../src/control/target-registry.js'
import { encodeFrame, type Frame, FrameReader } from '../../../src/control/upgrade/frames.js'
import { Predecessor } from '../../../src/control/upgrade/predecessor.js'
import { exportSessions, importSessions } from '../../../src/control/upgrade/session-transfer.js'
import { exportTargets, importTargets } from '../../../src/control/upgrade/target-transfer.js'
import { Versions } from '../../../src/control/versions.js'
import { ManualClock } from '../../../src/core/clock.js'
import type { ListedTarget } from '../../../src/core/directory.js'
import { blankEntry, type StickyEntry } from '../../../src/core/session-store.js'
import { nativeAddon } from '../../../src/native/addon.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { MapSessionStore } from '../../../src/shm/map-sessions.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { firstSnapshot } from '../../snapshots.js'

const framed = (value: unknown): Buffer => {
  const body = pack(value)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

t.test('messages come whole, however they are cut', async (t) => {
  const frames: Frame[] = [
    { type: 'prepared' },
    { type: 'failed', code: 'CONFIG_INVALID', message: 'ü' },
    { type: 'sessions', fields: ['key'], rows: [[Uint8Array.of(1, 2)], []] },
  ]
  const bytes = Buffer.concat(frames.map(encodeFrame))
  for (const size of [1, 3, 7, bytes.length]) {
    const reader = new FrameReader()
    const read: Frame[] = []
    for (let at = 0; at < bytes.length; at += size) read.push(...reader.push(bytes.subarray(at, at + size)))
    t.same(read.length, 3, `in pieces of ${size}`)
    t.same(read[1], frames[1])
  }
})

t.test('what another version has more is passed over', async (t) => {
  const reader = new FrameReader()
  const read = reader.push(
    Buffer.concat([
      framed({ type: 'weather', sun: true }),
      framed({ type: 'hello', version: '9.9', pid: 4, colour: 'green' }),
    ]),
  )
  t.same(read, [{ type: 'hello', version: '9.9', pid: 4 }])
})

t.test('what is no message ends the upgrade, and makes no room for what a length promises', async (t) => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['a length without end', Uint8Array.of(0xff, 0xff, 0xff, 0xff), /4294967295 bytes/],
    ['no MessagePack', Uint8Array.of(0, 0, 0, 1, 0xc1), /cannot be read|without a type/],
    [
      'a list that promises more',
      Uint8Array.of(0, 0, 0, 5, 0xdd, 0x7f, 0xff, 0xff, 0xff),
      /cannot be read|without a type/,
    ],
    ['a number', framed(7), /without a type/],
    ['a type that is none', framed({ type: {} }), /without a type/],
    ['a field missing', framed({ type: 'hello', version: '1' }), /hello that is wrong at pid/],
    ['a wrong field', framed({ type: 'sessions', fields: ['key'], rows: [1] }), /sessions that is wrong at rows\.0/],
  ]
  for (const [what, bytes, message] of cases) {
    t.throws(() => new FrameReader().push(bytes), { code: 'UPGRADE_FAILED', message }, what)
  }
})

const clock = new ManualClock()
const target = (slot: number, group: number, id: string): ListedTarget => {
  return { slot, generation: slot + 5, group, id, host: '10.0.0.1', port: 80, address: '10.0.0.1', leavesMs: undefined }
}

function session(of: Partial<StickyEntry>): StickyEntry {
  return { ...blankEntry(), expiresMs: clock.steadyMs + 60_000, touchedMs: clock.steadyMs, ...of }
}

t.test('sessions go over by name, and to whatever slots their targets have there', async (t) => {
  const from = new MapSessionStore(100, clock)
  const keys = [1, 2, 3, 4].map((n) => Int32Array.of(n, -n, n << 28, 7))
  from.put(keys[0]!, session({ group: 0, targetSlot: 0, generation: 5, used: true, versionHigh: 9, versionLow: -1 }))
  from.put(keys[1]!, session({ group: 1, targetSlot: 1, generation: 6 }))
  from.put(keys[2]!, session({ group: 1, targetSlot: 1, generation: 3 }))
  from.put(keys[3]!, session({ group: 1, targetSlot: 1, generation: 6, touchedMs: clock.steadyMs - 5_000 }))
  const parts = {
    store: from,
    groups: () => ['a', 'b'],
    targets: () => [target(0, 0, 'x'), target(1, 1, 'y')],
    clock: () => clock,
  }
  const frames = []
  for await (const frame of exportSessions(parts, clock.steadyMs - 1_000)) frames.push(frame)
  t.equal(frames.flatMap(({ rows }) => rows).length, 2, 'not those of targets that are gone, nor those used before')

  const later = new ManualClock(0, 1_700_000_000_000 - 4_000_000)
  later.step(4_000_000)
  const to = new MapSessionStore(100, later)
  const there = {
    store: to,
    groups: () => ['b', undefined, 'a'],
    targets: () => [target(7, 2, 'x')],
    clock: () => later,
  }
  // Another version writes its fields in another order, and more of them.
  const { fields, rows } = frames[0]!
  const shuffled = {
    type: 'sessions' as const,
    fields: ['colour', ...[...fields].reverse()],
    rows: [['green', ...[...rows[0]!].reverse()], ['red', ...[...rows[1]!].reverse()], ['short'], []],
  }
  t.equal(importSessions(shuffled, there), 1, 'group b has no target y')
  t.ok(to.find(keys[0]!))
  t.match(to.found, { group: 2, targetSlot: 7, generation: 12, used: true, versionHigh: 9, versionLow: -1 })
  t.equal(Math.round((to.found.expiresMs - later.steadyMs) / 1_000), 60)
  t.equal(importSessions(shuffled, there), 0, 'again: nothing new')
})

type Weights = Readonly<Record<string, number>>

function registryOf(targets: Weights, others: Weights) {
  const list = (weights: Weights) =>
    Object.entries(weights).map(([host, weight]) => ({ address: `${host}:80`, id: host, weight }))
  const config = parseConfig(
    JSON.stringify({
      workers: 1,
      reserve: { targets: 10 },
      listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'a' }],
      targetGroups: [
        { name: 'other', protocol: 'http', targets: list(others) },
        { name: 'a', protocol: 'http', draining: '300s', targets: list(targets) },
      ],
    }),
    'test.yaml',
  )
  const { groups } = firstSnapshot(config)
  const counters = createSharedCounters(capacityFor(config, firstSnapshot(config)))
  const table = new TargetTable(counters.segments)
  const parts = {
    table,
    columns: new Columns(counters),
    addresses: { of: (host: string) => host, resolve: async () => {} },
    versions: new Versions(),
    tell: () => {},
    onGone: () => {},
  }
  const registry = new TargetRegistry(groups, parts, clock.steadyMs)
  return { groups: () => groups.map((entry) => entry?.config), table, registry, clock: () => clock }
}

t.test('what operators want goes over, unless the file says something else than before', async (t) => {
  const before = registryOf({ '10.0.0.1': 10, '10.0.0.2': 10, '10.0.0.3': 10, '10.0.0.4': 10 }, { '10.0.1.1': 1 })
  const group = before.groups().findIndex((config) => config?.name === 'a')
  const slot = (id: string): number => before.registry.all.find((each) => each.id === id)!.slot
  before.registry.setWeight(slot('10.0.0.1'), 50, clock.steadyMs)
  before.registry.setWeight(slot('10.0.0.2'), 60, clock.steadyMs)
  before.registry.setState(slot('10.0.0.2'), 'maintenance', clock.steadyMs)
  before.registry.remove(slot('10.0.0.3'), true, clock.steadyMs)
  await before.registry.add(group, { id: '10.0.0.9', host: '10.0.0.9', port: 80, weight: 33 }, () => clock.steadyMs)
  clock.advance(1_000)
  const leavesMs = before.registry.remove(slot('10.0.0.4'), false, clock.steadyMs)
  clock.advance(1_000)

  const after = registryOf({ '10.0.0.4': 10, '10.0.0.3': 10, '10.0.0.2': 11, '10.0.0.1': 10 }, { '10.0.9.9': 5 })
  for (let again = 0; again < 2; again++) await importTargets(exportTargets(before), after)
  const own = after.registry.all.filter(({ host }) => host.startsWith('10.0.0.'))
  const shown = own.map((each) => ({
    id: each.id,
    weight: after.table.weight(each.slot),
    state: after.registry.wishFor(each.slot).state,
    leaves: each.leavesMs === undefined ? undefined : Math.round(each.leavesMs),
  }))
  t.same(shown, [
    { id: '10.0.0.4', weight: 10, state: 'active', leaves: Math.round(leavesMs) },
    { id: '10.0.0.2', weight: 11, state: 'maintenance', leaves: undefined },
    { id: '10.0.0.1', weight: 50, state: 'active', leaves: undefined },
    { id: '10.0.0.9', weight: 33, state: 'active', leaves: undefined },
  ])
})

const addon = nativeAddon()
t.test('what was not handed over whole is none to take over from', { skip: addon === undefined }, async (t) => {
  const offer: Frame & { type: 'offer' } = {
    type: 'offer',
    protocol: 1,
    version: '1',
    pid: 1,
    sockets: [],
    isLast: true,
  }
  const socket = { name: 'in', address: '127.0.0.1', port: 80, configuredPort: 80 }
  const cases: [string, Uint8Array, number, RegExp][] = [
    ['nothing', Buffer.alloc(0), 0, /EAGAIN/],
    ['half', encodeFrame(offer).subarray(0, 9), 0, /EAGAIN/],
    ['of a later protocol', encodeFrame({ ...offer, protocol: 2 }), 0, /protocol 2, and this program knows 1/],
    [
      'fewer descriptors than sockets',
      encodeFrame({ ...offer, sockets: [socket, socket] }),
      1,
      /2 sockets were offered, and 1 came/,
    ],
    ['more descriptors than sockets', encodeFrame(offer), 1, /0 sockets were offered, and 1 came/],
  ]
  for (const [what, bytes, descriptors, message] of cases) {
    const pair = new Int32Array(2)
    addon!.socketPair(pair)
    if (bytes.length > 0) addon!.sendDescriptors(pair[0]!, bytes, new Int32Array(descriptors).fill(pair[0]!))
    const env = { CASTOR_HANDOVER_FD: String(pair[1]) }
    t.throws(() => Predecessor.find(env, addon), { code: 'UPGRADE_FAILED', message }, what)
    t.same(env, {})
    for (const fd of pair) addon!.closeFd(fd, 0)
  }
  for (const given of ['2', '-1', 'x', '4096']) {
    t.throws(() => Predecessor.find({ CASTOR_HANDOVER_FD: given }, addon), { code: 'UPGRADE_FAILED' }, given)
  }
  t.throws(() => Predecessor.find({ CASTOR_HANDOVER_FD: '3' }, undefined), { message: /needs the native addon/ })
  t.equal(Predecessor.find({}, addon), undefined)
})
