import { type Heartbeats, PRIMARY_ROW } from '../../src/shm/heartbeats.js'
import { pollMs, Silence } from '../../src/shm/silence.js'

/**
 * The primary watches the other threads; this one watches the primary. `onStuck` is called once, when the primary has not
 * turned its loop for `limitMs`; 0 = never. Returns what ends the watch.
 */
export function watchPrimary(heartbeats: Heartbeats, limitMs: number, onStuck: (silentMs: number) => void): () => void {
  if (limitMs === 0) return () => {}
  const silence = new Silence()
  const periodMs = pollMs(limitMs)
  let lastLookMs = performance.now()
  const looking = setInterval(() => {
    const nowMs = performance.now()
    const silentMs = silence.look(heartbeats.turns(PRIMARY_ROW), nowMs - lastLookMs, periodMs)
    lastLookMs = nowMs
    if (silentMs < limitMs) return
    clearInterval(looking)
    onStuck(silentMs)
  }, periodMs)
  return () => clearInterval(looking)
}
