import type { TargetSlot } from '../../../src/core/directory.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  TARGET_CONNECTIONS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_SNAPSHOT,
} from '../../../src/shm/layout.js'
import type { SimulatedPrimary } from './simulated-primary.js'
import { insist } from './violation.js'

/** What holds after every step. */
export function checkAlways(host: SimulatedPrimary): void {
  checkPlaces(host)
  checkClients(host)
  for (const placed of host.probe.places) {
    insist(
      host.table.generation(placed.slot) === placed.generation,
      `slot ${placed.slot} is checked for a target that is gone, and has another`,
    )
  }
  if (host.applying === 0) checkSockets(host)
}

/** No place for a target is in two lists. */
function checkPlaces({ registry, table }: SimulatedPrimary): void {
  const seen = new Set<number>()
  for (const { targets } of registry.lists()) {
    for (const { slot, generation } of targets) {
      insist(!seen.has(slot), `slot ${slot} has two targets`)
      insist(table.generation(slot) === generation, `the table has another target in slot ${slot} than the lists`)
      seen.add(slot)
    }
  }
}

/** Nothing that somebody counts in has been given to another. */
function checkClients({ proxies, snapshot, table }: SimulatedPrimary): void {
  for (const { clients } of proxies) {
    for (const { entry, request } of clients) {
      const listener = snapshot.listeners[entry.slot]
      insist(
        listener === undefined || listener.generation === entry.generation,
        `listener slot ${entry.slot} is given out while connections count in it`,
      )
      if (request === undefined) continue
      const { target, series } = request
      const now = snapshot.series[series.slot]
      insist(
        now === undefined || now === series,
        `series slot ${series.slot} is given out while a request will count in it`,
      )
      if (target === undefined) continue
      insist(
        table.generation(target.slot) === target.generation,
        `target slot ${target.slot} is given out while a request is with it`,
      )
    }
  }
}

/** What listens is what the snapshot says. */
function checkSockets({ snapshot, sockets }: SimulatedPrimary): void {
  const wanted = snapshot.binds.filter((bind) => bind !== undefined).map(({ slot, port }) => `${slot} ${port}`)
  const open = [...sockets.listening.values()].map(({ slot, port }) => `${slot} ${port}`)
  insist(wanted.sort().join() === open.sort().join(), `${open.join()} listen, and not ${wanted.join()}`)
  const { config } = snapshot
  const ports = config.listeners.flatMap(({ listen }) => listen.map(({ port }) => port))
  insist(
    ports.sort().join() ===
      snapshot.binds
        .flatMap((bind) => bind?.port ?? [])
        .sort()
        .join(),
    'binds are not those of the configuration',
  )
}

/** What holds when every message was taken, every client has gone and time has passed. */
export function checkQuiet(host: SimulatedPrimary): void {
  checkThreads(host)
  checkWatchers(host)
  checkCounts(host)
  for (const kind of ['listeners', 'groups', 'series', 'binds'] as const) {
    insist(host.ledger.left(kind).size === 0, `slots ${[...host.ledger.left(kind)]} of ${kind} are never free again`)
  }
  const held = host.registry.lists().flatMap(({ targets }) => targets.map(({ slot }) => slot))
  const lost = [...host.places.taken].filter((slot) => !held.includes(slot))
  insist(lost.length === 0, `slots ${lost} of targets are never free again`)
  insist(host.sockets.open.size === host.sockets.listening.size, 'descriptors are left open')
}

/** Every thread goes by the newest. */
function checkThreads({ proxies, snapshot, registry, columns }: SimulatedPrimary): void {
  const lists = registry.lists()
  for (const { column, thread } of proxies) {
    const version = columns.workerWords[columns.workerAt(column) + WORKER_SNAPSHOT]
    insist(version === snapshot.version, `thread ${column} has version ${version}, not ${snapshot.version}`)
    const { live } = thread!
    for (const [slot, entry] of snapshot.listeners.entries()) {
      insist(live.listeners[slot]?.name === entry?.config.name, `thread ${column} has another listener in slot ${slot}`)
    }
    for (const [slot, entry] of snapshot.groups.entries()) {
      const set = live.sets[slot]
      insist((set === undefined) === (entry === undefined), `thread ${column} has a group of its own in slot ${slot}`)
      const wanted = lists.find(({ group }) => group === slot)?.targets ?? []
      const has = set?.all ?? []
      insist(
        placesOf(wanted) === placesOf(has),
        `thread ${column} has ${placesOf(has)} in group ${slot}, not ${placesOf(wanted)}`,
      )
    }
    insist(
      [...live.allSets()].length === snapshot.groups.filter(Boolean).length,
      `thread ${column} keeps groups that are gone`,
    )
  }
}

function placesOf(targets: readonly { slot: number; generation: number; address: string }[]): string {
  return targets.map(({ slot, generation, address }) => `${slot}.${generation} ${address}`).join(', ')
}

function checkWatchers({ probe, mesh, registry, snapshot }: SimulatedPrimary): void {
  const wanted = registry.lists().flatMap(({ targets }) => targets)
  const bySlot = (targets: readonly TargetSlot[]): string => placesOf([...targets].sort((a, b) => a.slot - b.slot))
  insist(bySlot(probe.places) === bySlot(wanted), `${bySlot(probe.places)} are checked, not ${bySlot(wanted)}`)
  for (const { slot, generation, group, id } of wanted) {
    const name = snapshot.groups[group]!.config.name
    insist(mesh.names!.targetSlot(name, id) === slot, `the mesh thread has another slot for ${name}/${id}`)
    insist(mesh.names!.targetOf(slot, generation) === id, `the mesh thread has another target in slot ${slot}`)
  }
}

/** Nothing stays counted that is not there. */
function checkCounts({ columns, dispatcher }: SimulatedPrimary): void {
  const { listeners, targets } = columns.capacity
  for (let slot = 0; slot < listeners; slot++) {
    const active = columns.listener(slot).sum(LISTENER_CONNECTIONS_ACTIVE)
    insist(active === 0, `${active} connections are counted in listener slot ${slot}`)
  }
  for (let slot = 0; slot < targets; slot++) {
    const count = columns.inFlight(slot) + columns.target(slot).sum(TARGET_CONNECTIONS)
    insist(count === 0, `${count} requests and connections are counted in target slot ${slot}`)
  }
  insist(columns.sumOfWorkers(WORKER_CONNECTIONS_ACTIVE) === 0, 'connections are counted that are closed')
  insist(dispatcher.hasPassed(dispatcher.mark()), 'connections wait that nobody takes')
}
