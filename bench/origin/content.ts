/** What every HTTP origin of this bench serves. */
export const SMALL_PATH = '/100'
export const SMALL_BYTES = 100
export const LARGE_PATH = '/1m'
export const LARGE_BYTES = 1024 * 1024
/** Reads a body to its end, then answers with a few bytes. */
export const SINK_PATH = '/sink'

/** The order that origins of our own take. */
export interface OriginOptions {
  readonly port: number
}
