const LINE_END = 10
const ARRAY = 42
const BULK = 36
/** Simple strings, errors and numbers: a line and no more. */
const LINES = new Set([43, 45, 58])
const EMPTY_BULK = Buffer.from('$0\r\n\r\n')
const EMPTY_ARRAY = Buffer.from('*0\r\n')

const MAX_LINE_BYTES = 64 * 1024
const MAX_ITEMS = 100_000
const MAX_DEPTH = 16
/** So short that it is looked at whole: ids of stream entries are. */
const SHORT_BYTES = 64
const ENTRY_ID = /^\d{1,20}-\d{1,20}$/

/** What any host publishes or saves is shorter: 256 rows, and the names in them. */
export const MAX_FRAME_BYTES = 256 * 1024
/** By how deep it lies: answers by themselves, values of MGET, then names of keys and streams. */
const MAX_VALUE_BYTES = 64 * 1024
const MAX_NAME_BYTES = 1024
/** How deep the fields of a stream's entries lie in the answer to XREAD. */
const FIELD_DEPTH = 5

/** An array whose items are being read. */
interface Level {
  left: number
  readonly size: number
  at: number
  /** Its first item is the id of an entry. */
  hasId: boolean
}

/**
 * Takes out of Redis's answers (RESP 2), as they come in, what is longer than anything that hosts write: the client
 * library keeps an answer until it is whole, and whoever may write to Redis could fill this process's memory. A value that
 * is too long becomes an empty one, and an entry of the stream with other fields than the one of a frame has none. What is
 * left out is read from the socket and forgotten.
 */
export class ReplyFilter {
  /** The start of a line, or of a short value, whose end has not come. */
  #held: Buffer | undefined
  /** Bytes of the value under way that are still to come, with its line end; passed on or left out. */
  #pass = 0
  #skip = 0
  readonly #levels: Level[] = []
  /** How many levels there were where an array began that is left out; −1 without one. */
  #dropDepth = -1

  /** What of a chunk the client is to see; undefined where it is no RESP, and the connection of no more use. */
  next(chunk: Buffer): Buffer | undefined {
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = undefined
    const parts: Buffer[] = []
    /** Up to where the bytes were dealt with, and from where on they are to be passed on. */
    let at = 0
    let from = 0
    const leaveOut = (start: number, end: number, instead?: Buffer): void => {
      if (start > from) parts.push(bytes.subarray(from, start))
      if (instead !== undefined) parts.push(instead)
      from = end
    }
    while (at < bytes.length) {
      if (this.#pass > 0 || this.#skip > 0) {
        const taken = Math.min(this.#pass + this.#skip, bytes.length - at)
        if (this.#skip > 0) leaveOut(at, at + taken)
        at += taken
        if (this.#take(taken)) this.#itemDone(undefined)
        continue
      }
      const line = this.#lineAt(bytes, at)
      if (line === 'broken') return undefined
      if (line === 'cut') {
        this.#held = Buffer.from(bytes.subarray(at))
        leaveOut(at, bytes.length)
        break
      }
      const { type, size, end } = line
      const dropping = this.#dropDepth >= 0
      if (type === BULK && size >= 0) {
        if (!dropping && size > this.#maxBytes()) {
          leaveOut(at, end, EMPTY_BULK)
          this.#skip = size + 2
        } else if (dropping) {
          leaveOut(at, end)
          this.#skip = size + 2
        } else if (size <= SHORT_BYTES) {
          if (end + size + 2 > bytes.length) {
            this.#held = Buffer.from(bytes.subarray(at))
            leaveOut(at, bytes.length)
            break
          }
          this.#itemDone(bytes.toString('latin1', end, end + size))
          at = end + size + 2
          continue
        } else this.#pass = size + 2
      } else if (type === ARRAY && size > 0) {
        if (this.#levels.length >= MAX_DEPTH) return undefined
        if (dropping) leaveOut(at, end)
        else if (this.#isFields() && size !== 2) {
          leaveOut(at, end, EMPTY_ARRAY)
          this.#dropDepth = this.#levels.length
        }
        this.#levels.push({ left: size, size, at: 0, hasId: false })
      } else {
        if (dropping) leaveOut(at, end)
        this.#itemDone(undefined)
      }
      at = end
    }
    if (parts.length === 0 && from === 0) return bytes
    if (from < bytes.length) parts.push(bytes.subarray(from))
    return Buffer.concat(parts)
  }

  /** `size` is −1 where the line has none. */
  #lineAt(bytes: Buffer, at: number): 'cut' | 'broken' | { type: number; size: number; end: number } {
    const lineEnd = bytes.indexOf(LINE_END, at)
    if (lineEnd < 0) return bytes.length - at > MAX_LINE_BYTES ? 'broken' : 'cut'
    const type = bytes[at]!
    const end = lineEnd + 1
    if (LINES.has(type)) return { type, size: -1, end }
    if (type !== BULK && type !== ARRAY) return 'broken'
    const text = bytes.toString('latin1', at + 1, lineEnd)
    if (!/^(-1|\d{1,10})\r$/.test(text)) return 'broken'
    const size = Number.parseInt(text, 10)
    return type === ARRAY && size > MAX_ITEMS ? 'broken' : { type, size, end }
  }

  /** Returns whether the value under way ends with so many more bytes. */
  #take(bytes: number): boolean {
    if (this.#pass > 0) this.#pass -= bytes
    else this.#skip -= bytes
    return this.#pass + this.#skip === 0
  }

  #maxBytes(): number {
    const depth = this.#levels.length
    if (depth >= FIELD_DEPTH) return MAX_FRAME_BYTES
    return depth < 2 ? MAX_VALUE_BYTES : MAX_NAME_BYTES
  }

  /** Whether the array that begins is what stands behind an entry's id. */
  #isFields(): boolean {
    const level = this.#levels.at(-1)
    return level !== undefined && level.size === 2 && level.at === 1 && level.hasId
  }

  /** An item is whole, and perhaps with it the arrays that it was the last of. */
  #itemDone(text: string | undefined): void {
    for (;;) {
      const level = this.#levels.at(-1)
      if (level === undefined) return
      if (level.at === 0 && text !== undefined) level.hasId = ENTRY_ID.test(text)
      level.at++
      if (--level.left > 0) return
      this.#levels.pop()
      if (this.#levels.length === this.#dropDepth) this.#dropDepth = -1
      text = undefined
    }
  }
}
