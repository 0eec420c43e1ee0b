import pino from 'pino'
import type { Mesh, MeshListeners } from '../../../src/control/cluster-link.js'
import type { Clock } from '../../../src/core/clock.js'
import { isEarlier, isLostAt } from '../../../src/core/hybrid-clock.js'
import type { OperatorEntry } from '../../../src/core/mesh.js'
import type { FromMesh, MeshTask, ToMesh } from '../../../src/core/messages.js'
import { MeshThread } from '../../../workers/mesh/assemble.js'
import type { Later } from './later.js'
import { GROUP_NAMES, TARGET_IDS } from './simulated-file.js'
import type { Task } from './simulated-proxy.js'
import type { SimulatedLink } from './simulated-redis.js'
import { insist } from './violation.js'
import type { World } from './world.js'

const SILENT = pino({ level: 'silent' })

type Message = Exclude<ToMesh, { readonly type: 'stop' }> | { readonly type: 'start'; readonly task: Task }

/** The mesh thread's place: the product's thread, with another store than Redis behind it. */
export class SimulatedMesh {
  /** Undefined while nobody would get them. */
  queue: Message[] | undefined
  thread: MeshThread | undefined
  link: SimulatedLink | undefined
  /** Of all links that there were. */
  breaks = 0
  readonly boot: string
  /** By group and target: when this host had another one of that name last, or none. */
  readonly otherwiseMs = new Map<string, number>()
  readonly #has = new Map<string, string>()
  readonly #world: World
  readonly #clock: Clock
  readonly #later: Later
  #said: FromMesh[] = []
  #listeners: MeshListeners | undefined
  #onJoined: () => void = () => {}
  #starts = 0

  constructor(boot: string, world: World, clock: Clock, later: Later) {
    this.boot = boot
    this.#world = world
    this.#clock = clock
    this.#later = later
  }

  get running(): boolean {
    return this.thread !== undefined
  }

  /** As the primary has it. */
  keeper(listeners: MeshListeners): Mesh {
    this.#listeners = listeners
    return {
      boot: this.boot,
      status: undefined,
      start: (timeoutMs) => {
        const joined = new Promise<void>((resolve) => {
          this.#onJoined = resolve
        })
        return Promise.race([joined, this.#later.sleep(timeoutMs, this.#clock.nowMs)])
      },
      send: (message) => {
        if (message.type !== 'stop') this.queue?.push(message)
      },
      stop: async () => {},
    }
  }

  /** The thread takes the oldest message of the primary. */
  deliver(): void {
    const message = this.queue?.shift()
    if (message === undefined) return
    if (message.type === 'start') this.#start(message.task)
    else if (message.type === 'operator') this.#operate(message)
    else this.thread!.take(message)
    if (message.type === 'snapshot' || message.type === 'targets') this.#noteTargets()
  }

  /** The primary takes the oldest message of the thread. */
  hear(): void {
    const message = this.#said.shift()
    if (message?.type === 'joined') this.#onJoined()
    else if (message?.type === 'operator') this.#listeners!.onOperator(message.entry)
    else if (message?.type === 'tickets') this.#listeners!.onTickets(message.entry)
  }

  get saysMore(): boolean {
    return this.#said.length > 0
  }

  /** What it said last may be lost with it. */
  die(how: number): void {
    this.breaks += (this.link?.breaks ?? 0) + 1
    this.link?.die(how)
    this.link = undefined
    this.thread = undefined
    this.queue = undefined
    if (how % 2 === 0) this.#said = []
  }

  /** What operators said of the target, as this host knows it. */
  said(group: string, target: string): OperatorEntry | undefined {
    const key = { kind: 'operator', group, target } as OperatorEntry
    return this.thread?.state.current(key) as OperatorEntry | undefined
  }

  #start(task: Task): void {
    const { boot } = this
    const meshTask: Omit<MeshTask, 'port'> = {
      ...task,
      version: '1',
      boot,
      again: this.#starts > 0,
      known: this.#listeners!.known(),
      muted: this.#listeners!.isMuted(),
    }
    this.#starts++
    this.thread = new MeshThread(meshTask, SILENT, (message) => this.#said.push(message), {
      clock: () => this.#clock,
      transport: () => {
        this.link = this.#world.redis.link()
        return this.link
      },
    })
    this.thread.replica.start()
    this.#noteTargets()
  }

  /** What a session can be on here. */
  #noteTargets(): void {
    const { names } = this.thread!
    for (const group of GROUP_NAMES) {
      for (const id of TARGET_IDS) {
        const name = `${group}/${id}`
        const slot = names.targetSlot(group, id)
        const now = slot < 0 ? '' : `${slot}.${names.generation(slot)}`
        if (this.#has.get(name) !== now || slot < 0) this.otherwiseMs.set(name, this.#clock.nowMs)
        this.#has.set(name, now)
      }
    }
  }

  #operate(message: Extract<ToMesh, { type: 'operator' }>): void {
    const { entry } = message
    const { group, target } = entry
    const before = this.said(group, target)
    const isLost = (each: OperatorEntry): boolean => isLostAt(each, this.#clock.wallMs)
    this.thread!.take(message)
    const now = this.said(group, target)
    insist(
      now !== undefined && (isLost(entry) ? !isLost(now) : !isEarlier(now.high, now.low, entry.high, entry.low)),
      `what an operator wants of ${group}/${target} loses to what was wanted before`,
    )
    if (before === undefined || now !== entry || stampOf(before) === stampOf(now)) return
    const { superseded, isFarOff } = this.#world
    // A clock that was set back may not know the one from the other.
    if (isFarOff) return
    const said = `${group}/${target} ${stampOf(before)}`
    superseded.set(said, (superseded.get(said) ?? new Set()).add(this.boot))
  }
}

export function stampOf({ high, low }: { readonly high: number; readonly low: number }): string {
  return `${high >>> 0}.${low >>> 0}`
}
