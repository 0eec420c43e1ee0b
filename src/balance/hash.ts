// Hot path: once a pick over the client's address, and once a target. 32-bit arithmetic, no allocation.

/** FNV-1a over the text's code units: the same on every host. Well spread only after `mix`. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** Spreads each bit of a 32-bit number over all: shifts and odd multipliers, so that it stays one-to-one. Unsigned. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return (hash ^ (hash >>> 16)) >>> 0
}
