/** Work goes on for so long before it is somebody else's turn; a request waits no longer than this and one step. */
const TURN_MS = 4

/** What a piece of work may yield. */
export type Step = void | Promise<void>

const OVER = Symbol('over')

/**
 * Work in steps, one piece of work after the other, of which none holds up the thread: between turns it does what else there
 * is to do. A step that yields a promise is over when that is settled; what comes behind it waits, too. What takes no longer than a turn is done at once where nothing is before it.
 */
export class Turns {
  readonly #onFault: (fault: unknown) => void
  readonly #waiting: Iterator<Step>[] = []
  #isUnderWay = false

  /** `onFault` gets what a step throws; the piece of work ends with it. */
  constructor(onFault: (fault: unknown) => void) {
    this.#onFault = onFault
  }

  /** Each `yield` of `work` is a place where it may pause. */
  add(work: Iterable<Step>): void {
    this.#waiting.push(work[Symbol.iterator]())
    if (!this.#isUnderWay) this.#turn()
  }

  #turn(): void {
    this.#isUnderWay = true
    const untilMs = performance.now() + TURN_MS
    for (let work = this.#waiting[0]; work !== undefined; work = this.#waiting[0]) {
      const step = this.#next(work)
      if (step === OVER) this.#waiting.shift()
      else if (step instanceof Promise) {
        step.catch(this.#onFault).finally(() => this.#turn())
        return
      } else if (performance.now() >= untilMs) {
        setImmediate(() => this.#turn())
        return
      }
    }
    this.#isUnderWay = false
  }

  #next(work: Iterator<Step>): Step | typeof OVER {
    try {
      const { done, value } = work.next()
      return done === true ? OVER : value
    } catch (fault) {
      this.#onFault(fault)
      return OVER
    }
  }
}
