import type { WriteStream } from 'node:tty'

export interface ProgressSample {
  readonly elapsedSeconds: number
  readonly totalSeconds: number
  readonly requests: number
}

type Out = Pick<WriteStream, 'isTTY' | 'write' | 'columns'>

const BAR_CELLS = 30

/** How far a run is: a bar that redraws itself on a terminal, elsewhere a plain line a sample. */
export class Progress {
  readonly #out: Out
  #drawn = false

  constructor(out: Out) {
    this.#out = out
  }

  show(sample: ProgressSample): void {
    const { elapsedSeconds, totalSeconds, requests } = sample
    const state = `${elapsedSeconds}/${totalSeconds} s  ${requests.toLocaleString('en-US')} requests/s`
    if (!this.#out.isTTY) {
      this.#out.write(`${state}\n`)
      return
    }
    const filled = Math.min(BAR_CELLS, Math.round((elapsedSeconds / totalSeconds) * BAR_CELLS))
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled)
    const line = `${bar}  ${state}`.slice(0, (this.#out.columns || 80) - 1)
    this.#out.write(`\r\u001b[K${line}`)
    this.#drawn = true
  }

  /** Takes the bar away, so that the result stands alone. */
  done(): void {
    if (this.#drawn) this.#out.write('\r\u001b[K')
    this.#drawn = false
  }
}
