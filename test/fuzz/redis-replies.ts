import { ReplyFilter } from '../../src/mesh/reply-filter.js'
import type { Finding } from './subject.js'

/** Longer than any value that is passed on. */
const TOO_LONG = 300_000
const MOST_PASSED = 256 * 1024

/** Answers of a server, some of them such as none gives, cut anywhere: nothing throws, and what is passed on is bounded and whole. */
export function checkReplies(random: () => number, report: (finding: Finding) => void): void {
  const below = (limit: number): number => Math.floor(random() * limit)
  const isRight = random() < 0.5
  const parts = Array.from({ length: 1 + below(3) }, () => reply(below, 0))
  const bytes = isRight ? Buffer.concat(parts) : spoilt(Buffer.concat(parts), below)
  const faults: string[] = []
  try {
    const whole = filtered(bytes, [bytes.length])
    const cuts: number[] = []
    for (let at = 0; at < bytes.length; ) {
      at += 1 + below(random() < 0.5 ? 40 : bytes.length)
      cuts.push(Math.min(at, bytes.length))
    }
    const pieces = filtered(bytes, cuts)
    if (whole !== undefined && pieces !== undefined && !whole.equals(pieces))
      faults.push('it matters where they are cut')
    if (isRight && whole === undefined) faults.push('refused')
    if (isRight && whole !== undefined) {
      const values = readValues(whole)
      if (values !== parts.length) faults.push(`${parts.length} answers became ${values}`)
    }
  } catch (error) {
    faults.push(`threw ${error instanceof Error ? error.stack : String(error)}`)
  }
  if (faults.length > 0) report({ kind: 'replies', input: bytes.subarray(0, 4_096), detail: '', faults })
}

function filtered(bytes: Buffer, ends: readonly number[]): Buffer | undefined {
  const filter = new ReplyFilter()
  const seen: Buffer[] = []
  let at = 0
  for (const end of ends) {
    const part = filter.next(bytes.subarray(at, end))
    if (part === undefined) return undefined
    seen.push(part)
    at = end
  }
  return Buffer.concat(seen)
}

function reply(below: (limit: number) => number, depth: number): Buffer {
  const line = (text: string): Buffer => Buffer.from(`${text}\r\n`)
  switch (below(depth > 6 ? 5 : 9)) {
    case 0:
      return line(['+OK', '-ERR no', ':12', '$-1', '*-1', '*0', '+', '-\u001b[2J'][below(8)]!)
    case 1:
      return bulk(Buffer.alloc(below(200), 120))
    case 2:
      return bulk(Buffer.from(['1-0', '18446744073709551615-1', 'f', '', '1-', 'castor:{test}:stream'][below(6)]!))
    case 3:
      return bulk(Buffer.from('$5\r\n*3\r\n:1\r\n'.repeat(below(30))))
    case 4:
      return bulk(Buffer.alloc(below(20) === 0 ? TOO_LONG : below(2_000), 121))
    case 5: {
      const fields = Array.from({ length: below(5) }, () => reply(below, depth + 2))
      return Buffer.concat([
        line('*2'),
        bulk(Buffer.from(`${below(100)}-${below(9)}`)),
        line(`*${fields.length}`),
        ...fields,
      ])
    }
    default: {
      const items = Array.from({ length: below(5) }, () => reply(below, depth + 1))
      return Buffer.concat([line(`*${items.length}`), ...items])
    }
  }
}

function bulk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}

function spoilt(bytes: Buffer, below: (limit: number) => number): Buffer {
  const copy = Buffer.from(bytes)
  for (let n = 1 + below(3); n > 0; n--) copy[below(Math.min(copy.length, 2_000))] = below(256)
  return copy
}

/** How many whole values there are; throws where there is anything else, or one is too long. */
function readValues(bytes: Buffer): number {
  let at = 0
  const read = (): void => {
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) throw new Error('a line without an end')
    const type = String.fromCharCode(bytes[at]!)
    const size = Number(bytes.toString('latin1', at + 1, end))
    at = end + 2
    if (type === '$' && size >= 0) {
      if (size > MOST_PASSED) throw new Error(`a value of ${size} bytes is passed on`)
      at += size + 2
      if (bytes.toString('latin1', at - 2, at) !== '\r\n') throw new Error('a value without an end')
    } else if (type === '*') for (let n = 0; n < size; n++) read()
    else if (!'+-:$'.includes(type)) throw new Error(`a value of the type ${JSON.stringify(type)}`)
  }
  let values = 0
  for (; at < bytes.length; values++) read()
  return values
}
