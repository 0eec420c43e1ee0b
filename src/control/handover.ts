import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Listening } from '../core/acceptor.js'
import type { VipConfig } from '../core/config.js'
import type { Logger } from '../observe/log.js'

/** What the kernel had accepted already reaches its thread in this time. */
const QUEUED_MS = 100
/** New clients wait for so long at most before their address leaves: the time of one more try of their system. */
const FINISH_MS = 2_000
/** keepalived asks once a second, and takes another to act. */
const LEAVE_MS = 5_000
const POLL_MS = 50
/** A client that is about to use its idle connection is still served. */
export const IDLE_GRACE_MS = 1_000

export interface HandoverParts {
  readonly vips: readonly VipConfig[]
  readonly listenings: readonly Listening[]
  readonly log: Logger
  /** Lets what is in flight finish; resolves when all of it has. */
  readonly drain: () => Promise<void>
  /** From here on `/readyz` says no, which takes the addresses away. */
  readonly giveUp: () => void
}

/** Those of the addresses that this host has now, without their prefix lengths. */
export function heldVips(vips: readonly VipConfig[]): readonly string[] {
  const mine = new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)))
  return vips.map(({ address }) => address.slice(0, address.indexOf('/'))).filter((address) => mine.has(address))
}

/** Whether this host has one of the addresses now. */
export function holdsVip(vips: readonly VipConfig[]): boolean {
  return heldVips(vips).length > 0
}

/**
 * Leaves the addresses that move to another host so that no request is lost: nobody new is let in, but nobody is refused
 * either; what is in flight finishes; only then do the addresses go, and whoever tried meanwhile tries again there. Resolves
 * when all that was in flight is done.
 */
export async function handOver({ vips, listenings, log, drain, giveUp }: HandoverParts): Promise<void> {
  const muted = listenings.length > 0 && listenings.every((listening) => listening.mute())
  log.info({ muted }, 'handing the addresses over')
  // Without the filter new clients go on coming here until the addresses are gone: they go first.
  if (muted) await sleep(QUEUED_MS)
  else await leave(vips, giveUp)
  const drained = drain()
  if (!muted) return drained
  await Promise.race([drained, sleep(FINISH_MS)])
  await leave(vips, giveUp)
  return drained
}

/** While `/readyz` says no already, everything else goes on as before; ends early with the signal. */
export async function delayDrain(ms: number, log: Logger, signal: AbortSignal): Promise<void> {
  log.info({ drainDelayMs: ms }, 'not ready any more; the listeners close after drainDelay')
  await sleep(ms, undefined, { signal }).catch(() => {})
}

async function leave(vips: readonly VipConfig[], giveUp: () => void): Promise<void> {
  giveUp()
  const untilMs = performance.now() + LEAVE_MS
  while (holdsVip(vips) && performance.now() < untilMs) await sleep(POLL_MS)
}
