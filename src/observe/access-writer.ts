import { type AppendEvents, AppendStream } from './append-stream.js'

/** Tells a worker's `AccessLog` that so many of its bytes are dealt with. */
export type Acknowledge = (bytes: number) => void

export interface AccessWriterEvents extends AppendEvents {
  /** So many lines did not get through, just now. */
  onDropped?(records: number): void
}

const STDOUT = 1
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

/**
 * Where the primary puts the workers' access log chunks: standard output or a file, always as JSON lines. A chunk is
 * acknowledged when it is written, and as well when it is lost, so that a full disk never stops a worker's log for good.
 */
export class AccessWriter {
  readonly #stream: AppendStream
  readonly #events: AccessWriterEvents
  /** Lines that did not get through on this side. */
  droppedRecords = 0

  private constructor(stream: AppendStream, events: AccessWriterEvents) {
    this.#stream = stream
    this.#events = events
  }

  /** `access` as in the config: `off` gives undefined. Rejects with the system's error when the file cannot be opened. */
  static async open(access: string, events: AccessWriterEvents = {}): Promise<AccessWriter | undefined> {
    if (access === 'off') return undefined
    const options = { ...events, maxBufferedBytes: MAX_BUFFERED_BYTES }
    const stream = access === 'stdout' ? AppendStream.over(STDOUT, options) : await AppendStream.open(access, options)
    return new AccessWriter(stream, events)
  }

  get writtenBytes(): number {
    return this.#stream.writtenBytes
  }

  /** The chunk, whole lines, belongs to the writer from here on. */
  write(chunk: Uint8Array, acknowledge: Acknowledge): void {
    this.#stream.write(chunk, (bytes, written) => {
      if (!written) this.#drop(countLines(chunk))
      acknowledge(bytes)
    })
  }

  #drop(records: number): void {
    this.droppedRecords += records
    this.#events.onDropped?.(records)
  }

  /** Goes on in a new file of the same name, as after a rotation. Rejects, keeping the old one, where it cannot. */
  reopen(): Promise<void> {
    return this.#stream.reopen()
  }

  /** Writes what waits, so long at the most, then lets go of the file. False as of `AppendStream.close`. */
  close(withinMs?: number): Promise<boolean> {
    return this.#stream.close(withinMs)
  }

  /** For the moment the process exits. */
  flushSync(): void {
    this.#stream.flushSync()
  }
}

function countLines(chunk: Uint8Array): number {
  let lines = 0
  for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++
  return lines
}
