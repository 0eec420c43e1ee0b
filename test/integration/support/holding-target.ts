import type { Test } from './castor.js'
import { ok, RawTarget, type TargetConnection, type TargetRequest } from './raw-target.js'
import { eventually } from './waiting.js'

/** An http target that answers when it is told to, and knows how many requests it had at once. */
export class HoldingTarget {
  readonly target: RawTarget
  /** Requests that wait for their answer, the oldest first. */
  readonly #held: { readonly request: TargetRequest; readonly connection: TargetConnection }[] = []
  #now = 0
  /** Most that it had at once. */
  most = 0

  private constructor(target: RawTarget) {
    this.target = target
    this.hold()
  }

  static async start(t: Test): Promise<HoldingTarget> {
    const holding = new HoldingTarget(await RawTarget.start())
    t.teardown(() => holding.target.stop())
    return holding
  }

  get address(): string {
    return this.target.address
  }

  /** Targets of all requests so far, in the order in which they came. */
  get seen(): string[] {
    return this.target.requests.map(({ target }) => target)
  }

  async holds(count: number): Promise<void> {
    await eventually(`${count} requests held by the target`, () => this.#held.length === count)
  }

  /** Answers nothing that comes from now on. */
  hold(): void {
    this.target.script = {
      answer: (request, connection) => {
        this.#begin()
        this.#held.push({ request, connection })
      },
    }
  }

  /** Answers the oldest of those held. */
  release(): void {
    const { request, connection } = this.#held.shift()!
    this.#now--
    connection.write(ok(request.target))
  }

  /** Answers whatever comes from now on, `delayMs` after it came, and all that is held. */
  flow(delayMs = 0): void {
    this.target.script = {
      answer: async (request, connection) => {
        this.#begin()
        await new Promise((resolve) => setTimeout(resolve, delayMs))
        this.#now--
        connection.write(ok(request.target))
      },
    }
    while (this.#held.length > 0) this.release()
  }

  #begin(): void {
    this.most = Math.max(this.most, ++this.#now)
  }
}
