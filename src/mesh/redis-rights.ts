import { COMMAND_MS } from './redis-clients.js'
import { type RedisLink, within } from './redis-link.js'
import { tailOf } from './redis-stream.js'

/**
 * Asks once for everything that will be asked, so that a right that is missing, a full memory, or a stream that takes no
 * more shows before this host counts on the store. Changes nothing. Whether it may SCAN shows when it joins.
 *
 * @throws whatever the server answered
 */
export async function tryRights({ writer, reader }: RedisLink, prefix: string): Promise<void> {
  const stream = `${prefix}:stream`
  const tail = await tailOf(reader, stream)
  await Promise.all([
    within(writer.ping()),
    within(reader.xread('COUNT', 1, 'STREAMS', stream, tail), COMMAND_MS, reader),
    within(reader.xrange(stream, '-', '+', 'COUNT', 1), COMMAND_MS, reader),
    within(reader.mget(`${prefix}:epoch`)),
    tryToAdd(writer, stream),
  ])
}

/** An id that is before every other is refused, unless something else is before that. */
async function tryToAdd(writer: RedisLink['writer'], stream: string): Promise<void> {
  try {
    await within(writer.xadd(stream, 'NOMKSTREAM', '0-1', 'f', ''))
  } catch (cause) {
    if (!(cause instanceof Error) || !cause.message.includes('equal or smaller')) throw cause
  }
}
