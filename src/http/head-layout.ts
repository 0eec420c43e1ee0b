/** Limits of a head. Each refuses by the position of the byte that goes beyond it. */
export interface HeadLimits {
  /** From the first byte of the start line to the last of the blank line. */
  maxHeaderBytes: number
  /** Field lines. */
  maxHeaders: number
  /** Bytes of the request target. */
  maxTargetBytes: number
}

export const PARSE_INCOMPLETE = 0
export const PARSE_COMPLETE = 1
export const PARSE_REFUSED = 2
export type ParseOutcome = typeof PARSE_INCOMPLETE | typeof PARSE_COMPLETE | typeof PARSE_REFUSED

/** Words a header takes in a parser's `headers`: offsets from the head's first byte, then its id. */
export const HEADER_STRIDE = 5
export const NAME_START = 0
export const NAME_END = 1
export const VALUE_START = 2
export const VALUE_END = 3
export const HEADER_ID = 4

/** So much may be added to a head, by rules and by plug-ins each, however much there is to add. */
export const MAX_ADDED_BYTES = 32 * 1024
