import { connect } from 'node:net'

/** Between one attempt and the next (RFC 8305 5). */
const STAGGER_MS = 250
/** For all attempts together. */
const TIMEOUT_MS = 2_000

/** Attempts a connection; resolves whether it was accepted, and closes it. */
export type TryAddress = (address: string, port: number, signal: AbortSignal) => Promise<boolean>

/**
 * The first of the addresses that accepts a connection, tried in their order, each a little after the one before or as
 * soon as that has failed (RFC 8305). Undefined when none does in time.
 */
export async function firstReachable(
  addresses: readonly string[],
  port: number,
  attempt: TryAddress = tryAddress,
): Promise<string | undefined> {
  const over = new AbortController()
  const patience = setTimeout(() => over.abort(), TIMEOUT_MS)
  let found: string | undefined
  const attempts: Promise<void>[] = []
  for (const address of addresses) {
    const tried = attempt(address, port, over.signal).then((accepted) => {
      if (!accepted || found !== undefined) return
      found = address
      over.abort()
    })
    attempts.push(tried)
    await Promise.race([tried, pause(STAGGER_MS, over.signal)])
    if (over.signal.aborted) break
  }
  await Promise.all(attempts)
  clearTimeout(patience)
  return found
}

function tryAddress(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    const end = (accepted: boolean): void => {
      signal.removeEventListener('abort', giveUp)
      socket.destroy()
      resolve(accepted)
    }
    const giveUp = (): void => end(false)
    signal.addEventListener('abort', giveUp)
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}
