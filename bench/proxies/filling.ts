/** Names the environment variable that tells the filling worker how many sessions to make. */
export const SESSIONS_VARIABLE = 'CASTOR_BENCH_SESSIONS'

/** The client's number from 0 on as an address, all of them private ones. */
export function clientAddress(number: number): string {
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
}
