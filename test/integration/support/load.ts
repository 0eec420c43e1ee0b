import { CutShort } from './byte-reader.js'
import { get, RawClient } from './raw-client.js'

/** A connection that is never idle for long: it says something, awaits the answer, and says something again. */
export interface BusyConnection {
  /** Exchanges that went well. */
  readonly done: number
  /** What ended it other than `stop`. */
  readonly broken: Error | undefined
  stop(): Promise<void>
}

/** One keep-alive client after the other's request. */
export async function busyHttp(port: number): Promise<BusyConnection> {
  const client = await RawClient.connect(port)
  return busy(client, async () => {
    const { status } = await client.exchange(get('/'))
    if (status !== 200) throw new Error(`answered ${status}`)
  })
}

/** One tcp connection through to an echo. */
export async function busyEcho(port: number): Promise<BusyConnection> {
  const client = await RawClient.connect(port)
  let count = 0
  return busy(client, async () => {
    const line = `message ${++count}`
    client.send(`${line}\r\n`)
    const back = await client.reader.line()
    if (back !== line) throw new Error(`came back as ${back}`)
  })
}

function busy(client: RawClient, exchange: () => Promise<void>): BusyConnection {
  const state: { done: number; broken: Error | undefined } = { done: 0, broken: undefined }
  let stopping = false
  const run = async (): Promise<void> => {
    while (!stopping) {
      await exchange()
      state.done++
      // The balancer, and the targets, share this process with many of these.
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const ended = run().catch((error: Error) => {
    if (!(error instanceof CutShort && stopping)) state.broken = error
  })
  return {
    get done() {
      return state.done
    },
    get broken() {
      return state.broken
    },
    async stop() {
      stopping = true
      await ended
      client.close()
    },
  }
}
