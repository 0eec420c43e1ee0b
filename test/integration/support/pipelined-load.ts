import { dial } from './tcp-peers.js'

/** How often a first line of a response came, such as `HTTP/1.1 200 OK`; `lost` counts what was never answered. */
export interface Answers {
  readonly counts: ReadonlyMap<string, number>
  readonly lost: number
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n'
const BEGINNING = 'HTTP/1.'

/**
 * Sends `requests` GETs over `connections`, `depth` of them at a time, and counts the answers by their first lines;
 * nothing else in an answer may look like one. `onAnswered` is told how many there were so far.
 */
export async function pipelinedLoad(
  port: number,
  requests: number,
  connections: number,
  depth: number,
  onAnswered: (total: number) => void = () => {},
): Promise<Answers> {
  const counts = new Map<string, number>()
  let answered = 0
  let toSend = requests
  const run = async (): Promise<void> => {
    const socket = await dial(port)
    let owed = 0
    let rest = ''
    const send = (): void => {
      owed = Math.min(depth, toSend)
      toSend -= owed
      if (owed === 0) socket.destroy()
      else socket.write(REQUEST.repeat(owed))
    }
    const ended = new Promise((resolve) => socket.once('close', resolve))
    socket.once('end', () => socket.destroy())
    socket.on('data', (data) => {
      rest += data.toString('latin1')
      for (let from = 0; ; ) {
        const start = rest.indexOf(BEGINNING, from)
        const end = start < 0 ? -1 : rest.indexOf('\r\n', start)
        if (end < 0) {
          // A line may be there in part, or only its beginning.
          rest = start < 0 ? rest.slice(Math.max(from, rest.length - BEGINNING.length)) : rest.slice(start)
          break
        }
        const line = rest.slice(start, end)
        counts.set(line, (counts.get(line) ?? 0) + 1)
        onAnswered(++answered)
        owed--
        from = end
      }
      if (owed === 0) send()
    })
    send()
    await ended
  }
  await Promise.all(Array.from({ length: connections }, run))
  return { counts, lost: requests - answered }
}
