import { COMMAND_MS, type RedisClient } from './redis-clients.js'
import { within } from './redis-link.js'

/** The stream is read in long polls of this length. */
const POLL_MS = 1_000
/** Frames read at once: as long as they may be, they must have room in memory. */
const READ_COUNT = 64
const NO_FRAME = Buffer.alloc(0)

/** Id of the last entry that was read; undefined before the first look, and where entries were missed. */
export interface StreamPosition {
  id: string | undefined
}

/** The id after which everything that is added from now on comes. */
export async function tailOf(client: RedisClient, stream: string): Promise<string> {
  const last = await within(client.xrevrange(stream, '+', '-', 'COUNT', 1), COMMAND_MS, client)
  return last[0]?.[0] ?? '0-0'
}

/**
 * Whether reading on from a position misses nothing: the entries after it have not been trimmed, and the stream has not
 * fallen behind it, as it may where a replica took over. Asked without a position too, so that a right that is missing
 * shows at once.
 */
export async function whetherFollows(client: RedisClient, stream: string, at: StreamPosition): Promise<boolean> {
  const tail = await tailOf(client, stream)
  const first = await within(client.xrange(stream, '-', '+', 'COUNT', 1), COMMAND_MS, client)
  const firstId = first[0]?.[0]
  if (at.id === undefined || isAfter(at.id, tail)) return false
  return firstId === undefined ? at.id === '0-0' : !isAfter(firstId, at.id)
}

/**
 * The frames added after the position, which moves on; waits for some, and returns none after a while.
 * The position is undefined then where entries were trimmed before they were read. That happens only to a reader that is
 * far behind, so only a full answer is looked at twice.
 */
export async function followStream(
  client: RedisClient,
  stream: string,
  at: StreamPosition,
): Promise<readonly Buffer[]> {
  const before = at.id ?? '0-0'
  const poll = client.xreadBuffer('COUNT', READ_COUNT, 'BLOCK', POLL_MS, 'STREAMS', stream, at.id ?? '$')
  const answer: unknown = await within(poll, POLL_MS + COMMAND_MS, client)
  const frames: Buffer[] = []
  for (const [id, fields] of entriesOf(answer)) {
    at.id = id.toString()
    // Empty where it was too long to be read, or the entry is none of ours: counted like any other that is not taken.
    frames.push(fields[1] ?? NO_FRAME)
  }
  if (frames.length >= READ_COUNT) {
    const first = await within(client.xrange(stream, '-', '+', 'COUNT', 1), COMMAND_MS, client)
    if (first[0] !== undefined && isAfter(first[0][0], before)) at.id = undefined
  }
  return frames
}

/** RESP2 answers a list of streams with their entries, RESP3 a map of them. There is one stream. */
function entriesOf(answer: unknown): readonly (readonly [Buffer, readonly Buffer[]])[] {
  if (answer === null || answer === undefined) return []
  if (answer instanceof Map) return [...answer.values()][0] ?? []
  if (Array.isArray(answer)) return answer[0]?.[1] ?? []
  return (Object.values(answer)[0] as readonly (readonly [Buffer, readonly Buffer[]])[] | undefined) ?? []
}

/** Ids are two numbers, of milliseconds and within one. */
export function isAfter(a: string, b: string): boolean {
  const [aMs = '0', aCount = '0'] = a.split('-')
  const [bMs = '0', bCount = '0'] = b.split('-')
  return BigInt(aMs) > BigInt(bMs) || (BigInt(aMs) === BigInt(bMs) && BigInt(aCount) > BigInt(bCount))
}
