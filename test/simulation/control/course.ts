import { setImmediate } from 'node:timers/promises'
import { ManualClock } from '../../../src/core/clock.js'
import { type AdminState, CHECK_STATES, type CheckState } from '../../../src/core/target-state.js'
import { checkAlways, checkQuiet, checkWaiters } from './invariants.js'
import { checkMesh, hearEachOther } from './mesh-invariants.js'
import { SimulatedFile, targetOf } from './simulated-file.js'
import type { SimulatedMesh } from './simulated-mesh.js'
import { SimulatedPrimary } from './simulated-primary.js'
import type { Step } from './steps.js'
import { insist } from './violation.js'
import { World } from './world.js'

const HOSTS = ['a', 'b']
const STATES: readonly AdminState[] = ['active', 'draining', 'maintenance']
/** Two hosts count their steady time from different moments. */
const ORIGIN_MS = 1_700_000_000_000
const ORIGINS_APART_MS = 7_654_321
/** Clocks that somebody keeps right are closer than this. */
const NEAR_MS = 25_000
/** From the end of a process to the next one's start: no stamp is given out twice. */
const STARTING_MS = 100
const SERVING_TURNS = 3
const CROWD = 40
const ROUND_MS = 2_000
/** Longer than a target drains, and a listener that is gone is known. */
const QUIET_ROUNDS = 8
/** What takes longer goes on for ever. */
const MAX_ROUNDS = 200
/** What one host hears it may have to answer. */
const CALM_TURNS = 3
const MOST_READS = 100
/** After that everything that operators want has been said again, and nothing is ahead of anybody's clock. */
const SETTLING_MS = 16 * 60 * 60_000
const SETTLING_STEP_MS = 2 * 60 * 60_000

/** Two hosts, what lies between them, and what happens to them. */
export class Course {
  readonly #world = new World(HOSTS.length)
  readonly #files = HOSTS.map(() => new SimulatedFile())
  readonly #clocks = HOSTS.map((_, host) => {
    const apartMs = host * ORIGINS_APART_MS
    const clock = new ManualClock(0, ORIGIN_MS - apartMs)
    clock.step(apartMs)
    return clock
  })
  #boots = 0
  readonly #hosts = HOSTS.map((_, host) => this.#boot(host))
  readonly #checkEvery: number
  /** What went wrong where nobody waits for it. */
  #fault: unknown
  readonly #tally = { applied: 0, refused: 0, deaths: 0, requests: 0, crashes: 0 }

  /** `checkEvery`: after so many steps what must always hold is looked at; in quiet moments all is, in any case. */
  constructor(checkEvery = 1) {
    this.#checkEvery = checkEvery
  }

  /** How much came about. */
  get tally(): string {
    const tally = { ...this.#tally }
    for (const host of this.#hosts) count(host, tally)
    const { applied, refused, deaths, requests, crashes } = tally
    return `${applied} reloads, ${refused} refused, ${deaths} deaths, ${crashes} crashes, ${requests} requests`
  }

  /** Throws a Violation, or what the product throws, at the step that shows it; `onStep` is told of each before. */
  async run(steps: readonly Step[], onStep: (index: number) => void = () => {}): Promise<void> {
    for (const host of this.#hosts) await host.start()
    await this.#settle()
    for (const [index, step] of steps.entries()) {
      onStep(index)
      this.#take(step)
      await this.#settle()
      if (step.kind === 'quieten') await this.#quieten()
      else if (index % this.#checkEvery === 0 || index === steps.length - 1)
        checkAlways(this.#hosts[step.host]!, this.#world)
    }
    onStep(steps.length)
    await this.#quieten()
  }

  #boot(host: number): SimulatedPrimary {
    const config = this.#files[host]!.configOf(HOSTS[host]!)
    return new SimulatedPrimary(config, `boot ${++this.#boots}`, this.#clocks[host]!, this.#world)
  }

  #take({ kind, host: at, which, how }: Step): void {
    const host = this.#hosts[at]!
    const file = this.#files[at]!
    const { threads, proxies, registry, clock, mesh } = host
    const thread = threads[which % threads.length]!
    const proxy = proxies[which % proxies.length]!
    switch (kind) {
      case 'deliver':
        thread.deliver()
        return
      case 'connect':
        host.connect(which)
        return
      case 'takeIn':
        proxy.takeIn()
        return
      case 'begin':
        if (proxy.running) proxy.begin(how)
        return
      case 'end':
        proxy.end(how)
        return
      case 'look':
        host.look()
        return
      case 'pass':
        this.#pass(1 + (how % 10) ** 3)
        return
      case 'tick':
        proxy.tick()
        return
      case 'answer':
        host.later.answer(which)
        return
      case 'edit':
        file.edit(which, which >> 3, how)
        return
      case 'copy':
        file.copy(this.#files[1 - at]!)
        return
      case 'reload':
        this.#await(host.apply(file.configOf(HOSTS[at]!)))
        return
      case 'check':
        this.#check(at, which)
        return
      case 'sicken':
        this.#sicken(host, how)
        return
      case 'state':
        this.#operate(host, how, (slot) => host.setState(slot, STATES[which % 3]!))
        return
      case 'weight':
        this.#operate(host, how, (slot) => host.setWeight(slot, which % 4))
        return
      case 'remove':
        this.#operate(host, how, (slot) => host.remove(slot, which % 3 === 0))
        return
      case 'add':
        this.#add(host, which, how)
        return
      case 'readdress':
        host.names.change(`t${which % 8}.example`, how % 4)
        registry.readdress(clock.steadyMs)
        return
      case 'kill':
        if (thread === mesh) this.#world.disturbed()
        host.kill(thread, how)
        return
      case 'restart':
        this.#await(host.restart(thread))
        return
      case 'crash':
        this.#crash(at, how)
        return
      case 'stepClock':
        this.#stepClock(at, which, how)
        return
      case 'refuse':
        host.sockets.refuseNext = true
        return
      case 'spoil':
        host.badCertificate = true
        return
      case 'turn':
        mesh.thread?.turn()
        return
      case 'carry':
        mesh.link?.carry(which % 8, how % 8)
        if (how % 3 > 0) mesh.link?.read()
        return
      case 'hear':
        mesh.hear()
        return
      case 'dial':
        mesh.link?.connect()
        return
      case 'cut':
        this.#world.disturbed()
        mesh.link?.cut(how)
        return
      case 'failOver':
        this.#world.disturbed()
        this.#world.redis.failOver(how)
        return
      case 'loseStore':
        this.#world.disturbed()
        this.#world.redis.lose(how)
        return
      case 'rotate':
        host.ticketKeys.rotate()
        return
      case 'quieten':
        return
    }
  }

  /** As operators name them: by group and id. */
  #operate({ registry: { all } }: SimulatedPrimary, choice: number, act: (slot: number) => void): void {
    const chosen = all[choice % Math.max(1, all.length)]
    const target = chosen && all.findLast(({ group, id }) => group === chosen.group && id === chosen.id)
    if (target !== undefined) act(target.slot)
  }

  #add(host: SimulatedPrimary, which: number, how: number): void {
    const { registry, snapshot, clock } = host
    const groups = snapshot.groups.filter((entry) => entry !== undefined)
    const group = groups[which % Math.max(1, groups.length)]
    if (group !== undefined) this.#await(registry.add(group.slot, targetOf(6 + (how % 3), how), () => clock.steadyMs))
  }

  /** A check has a result, which is news for the other host where it is news here. */
  #check(at: number, which: number): void {
    const host = this.#hosts[at]!
    const found = host.probe.find(which, (placed) => this.#world.isWell(placed))
    if (found === undefined) return
    const check = CHECK_STATES[host.table.check(found.slot)]!
    host.cluster.tellVerdict(found.slot, check, 'NONE')
    const group = host.snapshot.groups[found.group]?.config.name
    if (group !== undefined) this.#expectNews(at, group, found.id, check)
  }

  #expectNews(from: number, group: string, target: string, state: CheckState): void {
    const { health, isConnected } = this.#world
    health.delete(`${from} ${group}/${target}`)
    for (const [host, { mesh, table }] of this.#hosts.entries()) {
      const slot = mesh.thread?.names.targetSlot(group, target) ?? -1
      if (host === from || slot < 0 || !isConnected) continue
      const seen = {
        generation: table.generation(slot),
        check: table.check(slot),
        checksWanted: table.checksWanted(slot),
      }
      health.set(`${host} ${group}/${target}`, { host, group, target, state, slot, ...seen })
    }
  }

  #sicken({ registry: { all } }: SimulatedPrimary, choice: number): void {
    const { sick } = this.#world
    const address = all[choice % Math.max(1, all.length)]?.address
    if (address !== undefined && !sick.delete(address)) sick.add(address)
  }

  #crash(at: number, how: number): void {
    const host = this.#hosts[at]!
    count(host, this.#tally)
    this.#tally.crashes++
    this.#world.disturbed()
    host.die(how)
    this.#pass(STARTING_MS)
    this.#hosts[at] = this.#boot(at)
    this.#await(this.#hosts[at]!.start())
  }

  #stepClock(at: number, which: number, how: number): void {
    const { offMs } = this.#world
    const isFar = which % 20 === 0
    const toMs = isFar ? (how - 500) * 10_000 : ((how - 500) * NEAR_MS) / 500
    this.#setClock(at, toMs - offMs[at]!)
  }

  #setClock(at: number, byMs: number): void {
    this.#world.disturbed()
    this.#clocks[at]!.step(byMs)
    this.#world.stepped(at, byMs)
  }

  #pass(ms: number): void {
    this.#world.nowMs += ms
    this.#world.redis.pass(ms)
    for (const host of this.#hosts) host.pass(ms)
  }

  #await(work: Promise<unknown>): void {
    work.catch((fault: unknown) => {
      this.#fault ??= fault
    })
  }

  /** What follows at once is done. */
  async #settle(): Promise<void> {
    await setImmediate()
    if (this.#fault !== undefined) throw this.#fault
  }

  /** Everybody gets and does what waits, clients go, and time passes; then all must agree. */
  async #quieten(): Promise<void> {
    const world = this.#world
    for (const host of this.#hosts) crowd(host)
    await this.#serve()
    for (const host of this.#hosts) checkWaiters(host)
    for (const [at, offMs] of world.offMs.entries()) if (world.isFarOff && offMs !== 0) this.#setClock(at, -offMs)
    await this.#calm(QUIET_ROUNDS, ROUND_MS)
    if (world.isFarOff) {
      await this.#calm(SETTLING_MS / SETTLING_STEP_MS, SETTLING_STEP_MS)
      await this.#calm(QUIET_ROUNDS, ROUND_MS)
      world.isFarOff = false
    }
    for (const host of this.#hosts) checkQuiet(host)
    checkMesh(this.#hosts, world)
    world.health.clear()
    world.isConnected = hearEachOther(this.#hosts)
  }

  /** Every thread takes its messages and looks who has its turn; often enough for all that follows from one another. */
  async #serve(): Promise<void> {
    for (let turn = 0; turn < SERVING_TURNS; turn++) {
      for (const { proxies } of this.#hosts) {
        for (const proxy of proxies) {
          while (proxy.queue !== undefined && proxy.queue.length > 0) proxy.deliver()
          proxy.tick()
        }
      }
      await this.#settle()
    }
  }

  async #calm(rounds: number, roundMs: number): Promise<void> {
    for (let round = 0, calm = 0; calm < rounds; round++) {
      for (const host of this.#hosts) await this.#calmHost(host)
      for (let turn = 0; turn < CALM_TURNS; turn++) for (const { mesh } of this.#hosts) exchange(mesh)
      if (round % this.#checkEvery === 0) for (const host of this.#hosts) checkAlways(host, this.#world)
      const busy = this.#hosts.find(isBusy)
      insist(busy === undefined || round < MAX_ROUNDS, `${busy?.mesh.boot} does not come to rest`)
      calm = busy === undefined ? calm + 1 : 0
      this.#pass(busy === undefined ? roundMs : ROUND_MS)
    }
  }

  async #calmHost(host: SimulatedPrimary): Promise<void> {
    do {
      while (host.later.waiting > 0) host.later.answer(0)
      await this.#settle()
    } while (host.later.waiting > 0)
    for (const thread of host.threads) {
      if (thread.queue === undefined) await host.restart(thread)
      while (thread.queue!.length > 0) thread.deliver()
    }
    const { mesh, proxies } = host
    mesh.thread!.turn()
    mesh.link!.connect()
    for (const proxy of proxies) {
      proxy.takeIn()
      for (const client of [...proxy.clients]) client.cut()
      proxy.tick()
    }
    await this.#settle()
    host.look()
  }
}

/** More clients come than there are places where these are few, and every other one has its answer. */
function crowd(host: SimulatedPrimary): void {
  for (let number = 0; number < CROWD; number++) host.connect(number)
  for (const proxy of host.proxies) {
    proxy.takeIn()
    for (let number = 0; proxy.running && number < proxy.clients.length; number++) proxy.begin(number)
  }
  for (const { clients } of host.proxies) {
    for (const [number, { request }] of clients.entries()) {
      if (number % 2 === 0 && request?.target !== undefined) clients[number]!.answer()
    }
  }
}

/** All that is under way arrives. */
function exchange(mesh: SimulatedMesh): void {
  const link = mesh.link!
  link.carry(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  for (let reads = 0; reads < MOST_READS && !link.hasReadAll; reads++) link.read()
  while (mesh.saysMore) mesh.hear()
}

function isBusy(host: SimulatedPrimary): boolean {
  return host.applying > 0 || host.later.waiting > 0 || host.mesh.link?.isQuiet !== true
}

function count(
  { tally, proxies }: SimulatedPrimary,
  into: Record<'applied' | 'refused' | 'deaths' | 'requests', number>,
): void {
  into.applied += tally.applied
  into.refused += tally.refused
  into.deaths += tally.deaths
  for (const { requests } of proxies) into.requests += requests
}
