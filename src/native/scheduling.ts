import { nativeAddon } from './addon.js'

/**
 * From here on the calling thread waits for its turn when it wakes instead of preempting whoever runs on its core. What
 * comes to it meanwhile is taken in one batch. Does nothing without the addon.
 */
export function yieldToOthers(): void {
  nativeAddon()?.schedule(1)
}

/** The calling thread is scheduled like any other, whatever it inherited from the thread that started it. */
export function scheduleNormally(): void {
  nativeAddon()?.schedule(0)
}
