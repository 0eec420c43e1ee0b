import { setImmediate } from 'node:timers/promises'
import type { ListedTarget } from '../../../src/core/directory.js'
import type { AdminState } from '../../../src/core/target-state.js'
import { checkAlways, checkQuiet } from './invariants.js'
import { SimulatedFile, targetOf } from './simulated-file.js'
import { SimulatedPrimary } from './simulated-primary.js'

const STATES: readonly AdminState[] = ['active', 'draining', 'maintenance']

/** What happens, as often as the number says among all. */
const SHARES = {
  deliver: 40,
  connect: 25,
  takeIn: 25,
  begin: 30,
  end: 18,
  look: 10,
  pass: 10,
  tick: 6,
  answer: 8,
  edit: 8,
  reload: 7,
  check: 8,
  state: 3,
  weight: 3,
  remove: 2,
  add: 3,
  readdress: 2,
  kill: 2,
  restart: 14,
  stepClock: 1,
  refuse: 1,
  spoil: 1,
  quieten: 1,
} as const

type StepKind = keyof typeof SHARES

/** Something that happens; what exactly, and to whom, is chosen by the numbers among what is there by then. */
export interface Step {
  readonly kind: StepKind
  readonly which: number
  readonly how: number
}

/** A course goes through moods of so many steps: in each some things happen more often than usual, others hardly ever. */
const MOOD_STEPS = 300
const MOODS = [0.1, 0.5, 1, 1, 3]

export function randomSteps(random: () => number, count: number): readonly Step[] {
  let kinds: readonly StepKind[] = []
  return Array.from({ length: count }, (_, index) => {
    if (index % MOOD_STEPS === 0) kinds = mood(random)
    return {
      kind: kinds[Math.floor(random() * kinds.length)]!,
      which: Math.floor(random() * 1_000),
      how: Math.floor(random() * 1_000),
    }
  })
}

/** Each kind as often as it comes, in tenths of its share. */
function mood(random: () => number): readonly StepKind[] {
  return Object.entries(SHARES).flatMap(([kind, share]) => {
    const often = MOODS[Math.floor(random() * MOODS.length)]!
    return new Array<StepKind>(Math.ceil(share * often * 10)).fill(kind as StepKind)
  })
}

/** A host and what happens to it. */
export class Course {
  readonly #file = new SimulatedFile()
  readonly #host = new SimulatedPrimary(this.#file.config)
  /** What went wrong where nobody waits for it. */
  #fault: unknown

  /** How much came about. */
  get tally(): string {
    const { applied, refused, deaths } = this.#host.tally
    const { listeners, groups, series, binds } = this.#host.snapshot
    const requests = this.#host.proxies.reduce((sum, proxy) => sum + proxy.requests, 0)
    const generations = [...listeners, ...groups].reduce((sum, entry) => sum + (entry?.generation ?? 0), 0)
    const slots = [listeners, groups, series, binds].map(({ length }) => length).join('/')
    return `${applied} reloads, ${refused} refused, ${deaths} deaths, ${requests} requests, ${slots} slots, ${generations} generations`
  }

  /** Throws a Violation, or what the product throws, at the step that shows it; `onStep` is told of each before. */
  async run(steps: readonly Step[], onStep: (index: number) => void = () => {}): Promise<void> {
    await this.#host.start()
    await this.#settle()
    for (const [index, step] of steps.entries()) {
      onStep(index)
      this.#take(step)
      await this.#settle()
      if (step.kind === 'quieten') await this.#quieten()
      checkAlways(this.#host)
    }
    onStep(steps.length)
    await this.#quieten()
  }

  #take({ kind, which, how }: Step): void {
    const host = this.#host
    const { threads, proxies, registry, clock } = host
    const thread = threads[which % threads.length]!
    const proxy = proxies[which % proxies.length]!
    const target = this.#target(how)
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
        host.pass(1 + (how % 10) ** 3)
        return
      case 'tick':
        proxy.tick()
        return
      case 'answer':
        host.later.answer(which)
        return
      case 'edit':
        this.#file.edit(which, which >> 3, how)
        return
      case 'reload':
        this.#await(host.apply(this.#file.config))
        return
      case 'check':
        host.probe.find(which, how % 4 > 0)
        return
      case 'state':
        if (target !== undefined) registry.setState(target.slot, STATES[which % 3]!, clock.steadyMs)
        return
      case 'weight':
        if (target !== undefined) registry.setWeight(target.slot, which % 4, clock.steadyMs)
        return
      case 'remove':
        if (target !== undefined) registry.remove(target.slot, which % 3 === 0, clock.steadyMs)
        return
      case 'add':
        this.#add(which, how)
        return
      case 'readdress':
        host.names.change(`t${which % 8}.example`, how % 4)
        registry.readdress(clock.steadyMs)
        return
      case 'kill':
        host.kill(thread)
        return
      case 'restart':
        this.#await(host.restart(thread))
        return
      case 'stepClock':
        clock.step((how - 500) * 1_000)
        return
      case 'refuse':
        host.sockets.refuseNext = true
        return
      case 'spoil':
        host.badCertificate = true
        return
      case 'quieten':
        return
    }
  }

  /** As operators name them: by group and id. */
  #target(choice: number): ListedTarget | undefined {
    const { all } = this.#host.registry
    const chosen = all[choice % Math.max(1, all.length)]
    return chosen && all.findLast(({ group, id }) => group === chosen.group && id === chosen.id)
  }

  #add(which: number, how: number): void {
    const { registry, snapshot, clock } = this.#host
    const groups = snapshot.groups.filter((entry) => entry !== undefined)
    const group = groups[which % Math.max(1, groups.length)]
    if (group !== undefined) this.#await(registry.add(group.slot, targetOf(6 + (how % 3), how), () => clock.steadyMs))
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

  #answerAll(): void {
    while (this.#host.later.waiting > 0) this.#host.later.answer(0)
  }

  /** Everybody gets and does what waits, clients go, and time passes. */
  async #quieten(): Promise<void> {
    const host = this.#host
    for (let round = 0; round < 200; round++) {
      const isBusy = host.applying > 0 || host.later.waiting > 0
      this.#answerAll()
      await this.#settle()
      for (const thread of host.threads) {
        await host.restart(thread)
        while (thread.queue!.length > 0) thread.deliver()
      }
      for (const proxy of host.proxies) {
        proxy.takeIn()
        for (const client of [...proxy.clients]) client.cut()
        proxy.tick()
      }
      await this.#settle()
      host.pass(500)
      host.look()
      checkAlways(host)
      if (isBusy) round = Math.min(round, 100)
      if (!isBusy && round >= 120) break
    }
    checkQuiet(host)
  }
}
