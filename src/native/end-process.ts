import { nativeAddon } from './addon.js'

/**
 * Ends the process at once, also where threads are stuck: `process.exit` would wait for them. Without the addon it ends by
 * SIGKILL, which is the one thing left that waits for nobody.
 */
export function endProcess(code: number): never {
  nativeAddon()?.exitNow(code)
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way to this very process.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

/**
 * The process is about to exit with `code` and has so long for it. Without the addon nobody keeps watch: false, and what
 * is known to be stuck is a reason for `endProcess`.
 */
export function endProcessWithin(ms: number, code: number): boolean {
  return nativeAddon()?.exitAfter(ms, code) === 0
}

/** From the second stop signal on the process has so long, even where this thread never has another turn. */
export function endOnSecondSignal(ms: number): void {
  nativeAddon()?.endOnSecondSignal(ms)
}
