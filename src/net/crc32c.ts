/** CRC-32C (RFC 3720 §12.1, reflected polynomial 0x82F63B78), as the PROXY protocol's checksum field uses it. */
const table = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  table[byte] = value >>> 0
}

/** Checksum of bytes [start, end), with the four at `zeroAt` counted as zeroes (−1: none). */
export function crc32c(bytes: Uint8Array, start: number, end: number, zeroAt = -1): number {
  let crc = 0xffffffff
  for (let i = start; i < end; i++) {
    const byte = zeroAt >= 0 && i >= zeroAt && i < zeroAt + 4 ? 0 : bytes[i]!
    crc = (crc >>> 8) ^ table[(crc ^ byte) & 255]!
  }
  return (crc ^ 0xffffffff) >>> 0
}
