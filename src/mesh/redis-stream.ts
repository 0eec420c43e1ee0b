import { COMMAND_MS, type RedisClient } from './redis-clients.js'

/** The stream is read in long polls of this length. */
const POLL_MS = 1_000
const READ_COUNT = 500

/** Id of the last entry that was read; undefined before the first look. */
export interface StreamPosition {
  id: string | undefined
}

/** The id after which everything that is added from now on comes. */
export async function tailOf(client: RedisClient, stream: string): Promise<string> {
  const last = await client.xrevrange(stream, '+', '-', 'COUNT', 1)
  return last[0]?.[0] ?? '0-0'
}

/**
 * Whether reading on from a position misses nothing: the entries after it have not been trimmed, and the stream has not
 * fallen behind it, as it may where a replica took over.
 */
export async function whetherFollows(client: RedisClient, stream: string, at: StreamPosition): Promise<boolean> {
  if (at.id === undefined) return false
  if (isAfter(at.id, await tailOf(client, stream))) return false
  const first = await client.xrange(stream, '-', '+', 'COUNT', 1)
  const firstId = first[0]?.[0]
  return firstId === undefined ? at.id === '0-0' : !isAfter(firstId, at.id)
}

/** The frames added after the position, which moves on; waits for some, and returns none after a while. */
export async function followStream(
  client: RedisClient,
  stream: string,
  at: StreamPosition,
): Promise<readonly Buffer[]> {
  const poll = client.xreadBuffer('COUNT', READ_COUNT, 'BLOCK', POLL_MS, 'STREAMS', stream, at.id ?? '$')
  const answer: unknown = await inTime(poll)
  const frames: Buffer[] = []
  for (const [id, fields] of entriesOf(answer)) {
    at.id = id.toString()
    if (fields[1] !== undefined) frames.push(fields[1])
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

/** A poll that outlasts its own limit by far is one that nobody will answer. */
function inTime<T>(poll: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const ms = POLL_MS + COMMAND_MS
    const timer = setTimeout(() => reject(new Error(`no answer from Redis within ${ms} ms`)), ms)
    poll.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
