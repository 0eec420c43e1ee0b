// Hot path: a method is told by its length and first letter, then compared once.

export const METHOD_OTHER = 0
export const METHOD_GET = 1
export const METHOD_HEAD = 2
export const METHOD_POST = 3
export const METHOD_PUT = 4
export const METHOD_DELETE = 5
export const METHOD_OPTIONS = 6
export const METHOD_PATCH = 7
export const METHOD_TRACE = 8
export const METHOD_CONNECT = 9

/** Names by id, for logs and routing; the name of an other method is in the request's own bytes. */
export const METHOD_NAMES = [
  '',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
] as const

const METHODS = METHOD_NAMES.map((name) => Uint8Array.from(name, (character) => character.charCodeAt(0)))

/** By length and the low bits of the first letter, in which no two known methods agree. */
const METHOD_BY_SHAPE = new Uint8Array(8 * 32)
METHODS.forEach((name, method) => {
  if (method !== METHOD_OTHER) METHOD_BY_SHAPE[name.length * 32 + (name[0]! & 31)] = method
})

/** The id of the method at [from, to). Methods are case-sensitive (RFC 9110 9.1): `get` is another method than GET. */
export function methodId(buffer: Uint8Array, from: number, to: number): number {
  if (to - from >= 8) return METHOD_OTHER
  const method = METHOD_BY_SHAPE[(to - from) * 32 + (buffer[from]! & 31)]!
  const name = METHODS[method]!
  for (let i = 0; i < name.length; i++) {
    if (buffer[from + i] !== name[i]) return METHOD_OTHER
  }
  return method
}
