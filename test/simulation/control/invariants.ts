import type { TargetSlot } from '../../../src/core/directory.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  TARGET_CONNECTIONS,
  TARGET_PLACES,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_SNAPSHOT,
} from '../../../src/shm/layout.js'
import type { SimulatedPrimary } from './simulated-primary.js'
import { insist } from './violation.js'
import type { World } from './world.js'

/** What holds after every step. */
export function checkAlways(host: SimulatedPrimary, world: World): void {
  checkPlaces(host)
  checkClients(host)
  checkWaiting(host)
  checkSessions(host, world)
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

/** What is reserved at targets with a limit, and who waits for it, is what the threads say. */
function checkWaiting({ columns, registry, snapshot, proxies }: SimulatedPrimary): void {
  const { waiting } = columns
  for (const { targets } of registry.lists()) {
    for (const { slot } of targets) {
      const held = columns.target(slot).sum(TARGET_PLACES)
      insist(
        waiting.inUse(slot) === held,
        `${waiting.inUse(slot)} places are taken in target slot ${slot}, not ${held}`,
      )
    }
  }
  for (const entry of snapshot.groups) {
    if (entry === undefined) continue
    let count = 0
    for (const { clients } of proxies) {
      for (const { request } of clients) if (request?.isWaiting && request.route.group.groupSlot === entry.slot) count++
    }
    insist(
      waiting.waiting(entry.slot) === count,
      `${waiting.waiting(entry.slot)} wait in group ${entry.slot}, not ${count}`,
    )
  }
}

/**
 * Nobody waits for a place while there is a free one that it could have: what holds when every thread has looked. Whoever
 * began by settings that are not in force any more goes by those that are, and only the target that it waits for is known.
 */
export function checkWaiters({ proxies, columns }: SimulatedPrimary): void {
  for (const { column, clients } of proxies) {
    for (const { request } of clients) {
      if (request === undefined || !request.isWaiting) continue
      const { waitSlot, route } = request
      const { group } = route
      const { config } = group.set
      const slots = waitSlot >= 0 ? [waitSlot] : config === group.config ? group.targets.map(({ slot }) => slot) : []
      for (const slot of slots.filter((slot) => waitSlot >= 0 || group.isChoosable(slot))) {
        const taken = columns.waiting.inUse(slot)
        insist(
          config.maxConnectionsPerTarget > 0 && taken >= config.maxConnectionsPerTarget,
          `a client of thread ${column} waits while ${taken} of ${config.maxConnectionsPerTarget} places are taken in target slot ${slot}`,
        )
      }
    }
  }
}

/** No session is on another group's target, and none is there that has expired everywhere. */
function checkSessions({ sessions, registry, snapshot, table, clock }: SimulatedPrimary, world: World): void {
  const groups = new Map<number, number>()
  for (const { group, targets } of registry.lists()) for (const { slot } of targets) groups.set(slot, group)
  for (let cursor = 0; cursor >= 0; ) {
    const page = sessions.scan(cursor, 1_000, -1)
    cursor = page.next
    for (const { key, targetSlot, generation } of page.sessions) {
      insist(
        clock.nowMs <= world.expiresMs(key) + 5,
        `a session is there ${clock.nowMs - world.expiresMs(key)} ms too long`,
      )
      if (targetSlot < 0 || table.generation(targetSlot) !== generation) continue
      const group = groups.get(targetSlot)
      const name = group === undefined ? undefined : snapshot.groups[group]?.config.name
      // A group that is leaving has its name no more.
      insist(
        name === undefined || name === world.ownerOf(key),
        `a session of ${world.ownerOf(key)} is on a target of ${name}`,
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
  for (const kind of ['listeners', 'groups', 'series', 'rules', 'binds'] as const) {
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
    const name = snapshot.groups[group]?.config.name
    if (name === undefined) continue
    const { names } = mesh.thread!
    const last = wanted.findLast((listed) => listed.group === group && listed.id === id)!
    insist(names.targetSlot(name, id) === last.slot, `the mesh thread has another slot for ${name}/${id}`)
    insist(names.targetOf(slot, generation) === id, `the mesh thread has another target in slot ${slot}`)
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
    insist(columns.waiting.inUse(slot) === 0, `${columns.waiting.inUse(slot)} places stay taken in target slot ${slot}`)
  }
  insist(columns.sumOfWorkers(WORKER_CONNECTIONS_ACTIVE) === 0, 'connections are counted that are closed')
  insist(dispatcher.hasPassed(dispatcher.mark()), 'connections wait that nobody takes')
}
