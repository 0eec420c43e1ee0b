import fc from 'fast-check'
import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import {
  capacityFor,
  directoryOf,
  NO_SNAPSHOT,
  nextSnapshot,
  slotsLeft,
  withBinds,
} from '../../../src/control/next-snapshot.js'
import { Slots } from '../../../src/control/slots.js'
import type { Config } from '../../../src/core/config.js'
import type { Snapshot } from '../../../src/core/snapshot.js'

interface Wanted {
  /** Names of rules by listener. */
  readonly rules?: Readonly<Record<string, readonly string[]>>
  readonly listeners: readonly (readonly [name: string, protocol: string, group: string])[]
  readonly groups: readonly (readonly [name: string, protocol: string])[]
}

/** What `nextSnapshot` reads of a configuration. */
function configOf({ listeners, groups, rules = {} }: Wanted): Config {
  const rule = (name: string) => ({ name, action: { type: 'respond' } })
  return {
    listeners: listeners.map(([name, protocol, targetGroup]) => ({
      name,
      protocol,
      targetGroup,
      rules: (rules[name] ?? []).map(rule),
    })),
    targetGroups: groups.map(([name, protocol]) => ({ name, protocol, targets: [] })),
    plugins: [],
  } as unknown as Config
}

const QUIET = { isQuiet: () => true, clear: () => {} }
const pools = () => ({
  listeners: new Slots(QUIET),
  groups: new Slots(QUIET),
  series: new Slots(QUIET),
  rules: new Slots(QUIET),
})

t.test('everything in the first configuration gets a slot, in its order', async (t) => {
  const config = parseConfig(
    `
workers: 3
sessions: { capacity: 1000 }
reserve: { targets: 7 }
listeners:
  - { name: web, protocol: http, listen: "127.0.0.1:8080", targetGroup: app }
  - { name: also, protocol: http, listen: "127.0.0.1:8081", targetGroup: app }
  - { name: db, protocol: tcp, listen: "127.0.0.1:5432", targetGroup: data }
targetGroups:
  - name: unused
    protocol: http
    targets: []
  - name: app
    protocol: http
    targets: [{ address: "10.0.0.1:80", id: one }, { address: "app.example:80" }]
  - name: data
    protocol: tcp
    targets: [{ address: "[2001:db8::1]:5432" }, { address: "10.0.0.1:80", id: one }]
`,
    'test.yaml',
  )
  const snapshot = withBinds(nextSnapshot(config, NO_SNAPSHOT, pools(), 1), [])
  t.same(directoryOf(snapshot), {
    listeners: ['web', 'also', 'db'],
    groups: ['unused', 'app', 'data'],
    series: [
      { listener: 'web', group: 'app' },
      { listener: 'also', group: 'app' },
      { listener: 'db', group: 'data' },
    ],
    rules: [],
    plugins: [],
  })
  const { workers, listeners, series, groups, targets, sessions } = capacityFor(config, snapshot)
  t.same([workers, listeners, series, groups, targets, sessions], [3, 3, 3, 3, 11, 1_000])
})

const http = 'http'
const step = (slots: ReturnType<typeof pools>, before: Omit<Snapshot, 'config'>, wanted: Wanted, version: number) =>
  withBinds(nextSnapshot(configOf(wanted), before, slots, version), [])

t.test('what stays keeps its slot, and another protocol is another thing', async (t) => {
  const slots = pools()
  const first = step(
    slots,
    NO_SNAPSHOT,
    {
      listeners: [['in', http, 'a']],
      groups: [
        ['a', http],
        ['b', http],
      ],
    },
    1,
  )
  const second = step(
    slots,
    first,
    {
      listeners: [
        ['new', http, 'b'],
        ['in', http, 'a'],
      ],
      groups: [
        ['b', http],
        ['a', 'h2c'],
      ],
    },
    2,
  )
  t.equal(second.listeners[0]!.config.name, 'in')
  t.equal(second.listeners[1]!.config.name, 'new')
  t.equal(second.groups[1]!.config.name, 'b', 'b is where it was')
  t.equal(second.groups[0], undefined, 'the slot of a waits for its requests to end')
  t.equal(second.groups[2]!.config.name, 'a', 'a by another protocol is another group')
  t.same(slotsLeft(first.groups, second.groups), [0])
  t.same(slotsLeft(first.listeners, second.listeners), [])
  t.not(
    second.listeners[0]!.routes[0]!.series,
    first.listeners[0]!.routes[0]!.series,
    'what it sends to another group is counted apart',
  )
})

t.test('a listener that is given back to a group counts on where it had stopped', async (t) => {
  const slots = pools()
  const groups = [
    ['a', http],
    ['b', http],
  ] as const
  const first = step(slots, NO_SNAPSHOT, { listeners: [['in', http, 'a']], groups }, 1)
  const second = step(slots, first, { listeners: [['in', http, 'b']], groups }, 2)
  t.same(directoryOf(second).series, [
    { listener: 'in', group: 'a' },
    { listener: 'in', group: 'b' },
  ])
  const third = step(slots, second, { listeners: [['in', http, 'a']], groups }, 3)
  t.equal(third.listeners[0]!.routes[0]!.series, first.listeners[0]!.routes[0]!.series)
  const fourth = step(slots, third, { listeners: [], groups }, 4)
  t.same(directoryOf(fourth).series.filter(Boolean), [], 'its series go with the listener')
})

t.test('a rule counts on in its slot while its listener and its name stay, wherever it stands', async (t) => {
  const slots = pools()
  const groups = [['a', http]] as const
  const web = ['web', http, 'a'] as const
  const also = ['also', http, 'a'] as const
  const rules = { web: ['x', 'y'], also: ['x'] }
  const first = step(slots, NO_SNAPSHOT, { listeners: [web, also], groups, rules }, 1)
  t.same(directoryOf(first).rules, [
    { listener: 'web', rule: 'x' },
    { listener: 'web', rule: 'y' },
    { listener: 'also', rule: 'x' },
  ])
  const second = step(slots, first, { listeners: [also, web], groups, rules: { web: ['y', 'new', 'x'] } }, 2)
  t.same(second.listeners[0]!.rules, [1, 3, 0])
  t.same(slotsLeft(first.rules, second.rules), [2])
  const third = step(slots, second, { listeners: [['web', 'https', 'a']], groups, rules: { web: ['x'] } }, 3)
  t.same(third.listeners.at(-1)!.rules, [4], 'another listener of that name has counters of its own')
})

t.test('over any course of configurations no slot is used by two, and nothing moves', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const protocol = fc.constantFrom('http', 'tcp')
  const wanted = fc
    .tuple(
      fc.uniqueArray(fc.tuple(name, protocol), { selector: ([of]) => of }),
      fc.uniqueArray(fc.tuple(name, protocol, name), { selector: ([of]) => of }),
      fc.dictionary(name, fc.uniqueArray(name)),
    )
    .map(([groups, listeners, rules]) => ({
      rules,
      groups,
      listeners: listeners.filter(([, , to]) => groups.some(([of]) => of === to)),
    }))
  fc.assert(
    fc.property(fc.array(fc.tuple(wanted, fc.nat(2)), { maxLength: 12 }), (course) => {
      const slots = pools()
      let before: Omit<Snapshot, 'config'> = NO_SNAPSHOT
      let version = 0
      for (const [now, looks] of course) {
        const after = step(slots, before, now, ++version)
        for (const kind of ['listeners', 'groups', 'series', 'rules'] as const) {
          const entries = after[kind].filter((entry) => entry !== undefined)
          if (new Set(entries.map(({ slot }) => slot)).size !== entries.length) throw new Error(`${kind} share a slot`)
          for (const left of slotsLeft<{ slot: number; generation?: number }>(before[kind], after[kind]))
            slots[kind].leave(left, version)
        }
        for (const entry of after.listeners) {
          if (entry === undefined) continue
          for (const route of entry.routes) {
            const series = after.series[route.series]
            if (series?.listener !== entry.slot || series.group !== route.group)
              throw new Error('a listener counts elsewhere')
          }
          for (const [position, slot] of entry.rules.entries()) {
            const rule = after.rules[slot]
            if (rule?.listener !== entry.slot || rule.name !== entry.config.rules[position]!.name)
              throw new Error('a rule counts elsewhere')
          }
          const same = before.listeners.find(
            (other) => other?.config.name === entry.config.name && other.config.protocol === entry.config.protocol,
          )
          if (same !== undefined && same.slot !== entry.slot) throw new Error('a listener moved')
        }
        for (let look = 0; look < looks; look++) for (const pool of Object.values(slots)) pool.look(version)
        before = after
      }
    }),
  )
})
