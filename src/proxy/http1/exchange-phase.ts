/** Where an exchange stands. A target is being reached: waited for in the queue, or dialled. */
export const CONNECTING = 0
/** The request is on its way, or there; the response has not begun. */
export const AWAITING = 1
export const STREAMING = 2
export const OVER = 3

export type Phase = typeof CONNECTING | typeof AWAITING | typeof STREAMING | typeof OVER
