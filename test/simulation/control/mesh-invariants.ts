import type { MeshEntry } from '../../../src/core/mesh.js'
import { CHECK_STATES } from '../../../src/core/target-state.js'
import { entryName } from '../../../src/mesh/merge-order.js'
import { decodeBatch } from '../../../src/mesh/read-batch.js'
import { Sealer } from '../../../src/mesh/seal.js'
import { CLUSTER_SECRET, GROUP_NAMES, TARGET_IDS } from './simulated-file.js'
import { stampOf } from './simulated-mesh.js'
import type { SimulatedPrimary } from './simulated-primary.js'
import { insist } from './violation.js'
import type { World } from './world.js'

const SEALER = new Sealer(CLUSTER_SECRET)
/** Sessions that are about to end may have ended on one host and not on the other. */
const ENDING_MS = 2_000

/** What holds between hosts when everything that was said has arrived. */
export function checkMesh(hosts: readonly SimulatedPrimary[], world: World): void {
  const stored = readStore(world)
  checkOperators(hosts, world, stored)
  checkTickets(hosts, stored)
  checkHealth(hosts, world)
  for (const host of hosts) for (const other of hosts) if (host !== other) checkSessionsOf(host, other, world, stored)
  if (world.stepsMs === 0) checkPeers(hosts)
  for (const { mesh } of hosts) {
    const known = mesh.thread!.state.page(0, 1, Number.POSITIVE_INFINITY).entries.length
    insist(known <= GROUP_NAMES.length * TARGET_IDS.length + 1, `a host keeps ${known} things that operators said`)
  }
}

function checkPeers(hosts: readonly SimulatedPrimary[]): void {
  for (const { mesh } of hosts) {
    const { peers } = mesh.thread!.replica
    const seen = peers.list.map(({ node, state }) => `${node} ${state}`).join()
    insist(peers.alive === hosts.length - 1, `${mesh.boot} sees ${seen}`)
  }
}

/** What the store keeps for whoever comes later, by name. */
function readStore({ redis }: World): ReadonlyMap<string, MeshEntry> {
  const entries = new Map<string, MeshEntry>()
  for (const { frame } of redis.kept.values()) {
    for (const entry of decodeBatch(SEALER.open(frame)!.payload)!.entries) entries.set(entryName(entry), entry)
  }
  return entries
}

function checkOperators(
  hosts: readonly SimulatedPrimary[],
  world: World,
  stored: ReadonlyMap<string, MeshEntry>,
): void {
  const { superseded } = world
  const boots = hosts.map(({ mesh }) => mesh.boot)
  for (const group of GROUP_NAMES) {
    for (const id of TARGET_IDS) {
      const said = hosts.map(({ mesh }) => mesh.said(group, id))
      const shown = said.map((entry) => entry && `${entry.state} ${entry.weight} of ${stampOf(entry)}`).join(' and ')
      const [first] = said
      // What nobody has nobody says again: what clocks that were far off have said of it stays what it was.
      if (world.wasFarOff && !hosts.some(({ mesh }) => mesh.thread!.names.targetSlot(group, id) >= 0)) continue
      insist(
        said.every((entry) => (entry && stampOf(entry)) === (first && stampOf(first))),
        `hosts disagree on ${group}/${id}: ${shown}`,
      )
      if (first === undefined) continue
      const known = stored.get(entryName(first))
      insist(
        known !== undefined && stampOf(known) === stampOf(first),
        `the store does not have ${shown} of ${group}/${id}`,
      )
      const by = superseded.get(`${group}/${id} ${stampOf(first)}`)
      insist(
        by === undefined || !boots.some((boot) => by.has(boot)),
        `of ${group}/${id} ${shown} is back, although something else was said after it`,
      )
      for (const host of hosts) checkWish(host, group, id, first.state)
    }
  }
}

/** What the mesh knows is what the primary does. */
function checkWish({ registry, snapshot, mesh }: SimulatedPrimary, group: string, id: string, state: string): void {
  const slot = snapshot.groups.findIndex((entry) => entry?.config.name === group)
  const target = registry.all.findLast((listed) => listed.group === slot && listed.id === id)
  if (target === undefined || target.leavesMs !== undefined) return
  const wish = registry.wishFor(target.slot)
  insist(wish.state === state, `${mesh.boot} has ${group}/${id} ${wish.state}, and operators want it ${state}`)
}

function checkTickets(hosts: readonly SimulatedPrimary[], stored: ReadonlyMap<string, MeshEntry>): void {
  const keys = hosts.map(({ ticketKeys }) => hex(ticketKeys.current))
  const kept = stored.get('t')
  insist(
    keys.every((each) => each === keys[0]),
    'hosts have different ticket keys',
  )
  insist(kept?.kind === 'tickets' && hex(kept.keys) === keys[0], 'the store has other ticket keys than the hosts')
}

/** Each client of one host has the same target on the other, where that has the target. */
function checkSessionsOf(
  host: SimulatedPrimary,
  other: SimulatedPrimary,
  world: World,
  stored: ReadonlyMap<string, MeshEntry>,
): void {
  const { entries } = host.mesh.thread!.state.page(0, 10_000, 0)
  for (const entry of entries) {
    if (entry.kind !== 'session' || entry.expiresMs < host.clock.wallMs + ENDING_MS + world.stepsMs) continue
    const name = `${entry.group}/${entry.target}`
    if (other.mesh.thread!.names.targetSlot(entry.group, entry.target) < 0) continue
    const sinceMs = entry.touchedMs - world.maxSkewMs - (host.clock.wallMs - host.clock.nowMs)
    // It had another target of that name in between, and was told while it had.
    if ((other.mesh.otherwiseMs.get(name) ?? 0) >= sinceMs) continue
    const there = other.mesh.thread!.state.current(entry)
    insist(
      there?.kind === 'session' && there.target === entry.target && stampOf(there) === stampOf(entry),
      `${other.mesh.boot} has not the session ${entryName(entry)} on ${name} of ${host.mesh.boot}`,
    )
    const known = stored.get(entryName(entry))
    insist(known !== undefined && stampOf(known) === stampOf(entry), `the store does not have the session on ${name}`)
  }
}

/** News that a host was told of it agrees with, or has reason to look for itself. */
function checkHealth(hosts: readonly SimulatedPrimary[], { health }: World): void {
  for (const { host, group, target, slot, generation, check, checksWanted, state } of health.values()) {
    const { table, mesh } = hosts[host]!
    if (mesh.thread!.names.targetSlot(group, target) !== slot || table.generation(slot) !== generation) continue
    if (CHECK_STATES[check] === state || table.check(slot) !== check) continue
    insist(
      table.checksWanted(slot) !== checksWanted,
      `${mesh.boot} was told that ${group}/${target} is ${state}, and does not look for itself`,
    )
  }
}

/** Whether each host hears the others, as it goes on to until something breaks. */
export function hearEachOther(hosts: readonly SimulatedPrimary[]): boolean {
  return hosts.every(({ mesh }) => mesh.thread!.replica.peers.alive === hosts.length - 1)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
