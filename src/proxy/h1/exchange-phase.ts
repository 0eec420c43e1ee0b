/** Where an exchange stands. A target is being reached: waited for in the queue, or dialled. */
export const CONNECTING = 0
/** The request is on its way, or there; the response has not begun. */
export const AWAITING = 1
export const STREAMING = 2
/** The response is out, and the rest of the request still goes to a target that takes it. */
export const FINISHING = 3
/** The answer is out, and waits in the client's connection; the target is free, and what became of it is still to be logged. */
export const DELIVERING = 4
export const OVER = 5

export type Phase =
  | typeof CONNECTING
  | typeof AWAITING
  | typeof STREAMING
  | typeof FINISHING
  | typeof DELIVERING
  | typeof OVER
