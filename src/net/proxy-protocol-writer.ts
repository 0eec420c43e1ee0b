import type { Endpoint } from '../core/conn.js'
import { ipv6Text } from '../core/connection-record.js'
import { crc32c } from './crc32c.js'
import { ipFromBytes, ipToBytes, writeMappedPrefix } from './ip-bytes.js'
import {
  PROXY_V1_MAX_BYTES,
  PROXY_V2_MAX_BYTES,
  TLV_CRC32C,
  TLV_HEADER_BYTES,
  TLV_UNIQUE_ID,
  UNIQUE_ID_MAX_BYTES,
  V2_ADDRESS_BYTES,
  V2_COMMAND_LOCAL,
  V2_COMMAND_PROXY,
  V2_FAMILY_INET,
  V2_FAMILY_INET6,
  V2_FAMILY_UNSPEC,
  V2_HEADER_BYTES,
  V2_PROTOCOL_STREAM,
  V2_SIGNATURE,
  V2_VERSION,
} from './proxy-protocol.js'

export interface ProxyV2Options {
  /** Up to 128 opaque bytes by which both ends can name the connection. */
  readonly uniqueId?: Uint8Array | undefined
  /** Adds a CRC-32C over the whole header. */
  readonly checksum?: boolean
}

const addresses = new Uint8Array(32)

/** The header of a connection that is the proxy's own, such as a health check: nobody stands behind it. */
export function ownProxyHeader(version: 'v1' | 'v2'): Uint8Array {
  if (version === 'v1') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const header = new Uint8Array(V2_HEADER_BYTES)
  header.set(V2_SIGNATURE)
  header[V2_SIGNATURE.length] = (V2_VERSION << 4) | V2_COMMAND_LOCAL
  return header
}

/**
 * Writes a version 1 line at `at` and returns where it ends; `out` needs room for PROXY_V1_MAX_BYTES, else RangeError.
 * Where one address is IPv4 and the other IPv6, both are written as IPv6, the former IPv4-mapped. An address that
 * cannot be written makes it "PROXY UNKNOWN".
 */
export function writeProxyV1(out: Uint8Array, at: number, source: Endpoint, destination: Endpoint): number {
  if (out.length - at < PROXY_V1_MAX_BYTES) throw new RangeError('no room for a PROXY protocol line')
  const family = parseBoth(source, destination)
  if (family === V2_FAMILY_UNSPEC) return writeText('PROXY UNKNOWN\r\n', out, at)
  const ports = `${source.port} ${destination.port}\r\n`
  if (family === V2_FAMILY_INET) {
    return writeText(`PROXY TCP4 ${ipFromBytes(addresses, 0, 4)} ${ipFromBytes(addresses, 4, 4)} ${ports}`, out, at)
  }
  const from = ipv6Text(addresses.subarray(0, 16))
  return writeText(`PROXY TCP6 ${from} ${ipv6Text(addresses.subarray(16))} ${ports}`, out, at)
}

/**
 * Writes a version 2 header at `at` and returns where it ends; `out` needs room for PROXY_V2_MAX_BYTES, else
 * RangeError, as for a unique id that is too long. Mixed families as in version 1; an address that cannot be written
 * makes the family UNSPEC.
 */
export function writeProxyV2(
  out: Uint8Array,
  at: number,
  source: Endpoint,
  destination: Endpoint,
  options: ProxyV2Options = {},
): number {
  if (out.length - at < PROXY_V2_MAX_BYTES) throw new RangeError('no room for a PROXY protocol header')
  const family = parseBoth(source, destination)
  out.set(V2_SIGNATURE, at)
  out[at + 12] = (V2_VERSION << 4) | V2_COMMAND_PROXY
  out[at + 13] = family === V2_FAMILY_UNSPEC ? 0 : (family << 4) | V2_PROTOCOL_STREAM
  let end = at + V2_HEADER_BYTES
  if (family !== V2_FAMILY_UNSPEC) {
    const addressBytes = V2_ADDRESS_BYTES[family] - 4
    out.set(addresses.subarray(0, addressBytes), end)
    end = writeUint16(source.port, out, end + addressBytes)
    end = writeUint16(destination.port, out, end)
    if (options.uniqueId) end = writeUniqueId(options.uniqueId, out, end)
  }
  const checksumAt = end + TLV_HEADER_BYTES
  // Behind UNSPEC receivers skip the block unread.
  const checksum = options.checksum === true && family !== V2_FAMILY_UNSPEC
  if (checksum) {
    writeTlvHeader(TLV_CRC32C, 4, out, end)
    end = checksumAt + 4
  }
  writeUint16(end - at - V2_HEADER_BYTES, out, at + 14)
  if (checksum) {
    const crc = crc32c(out, at, end, checksumAt)
    writeUint16(crc >>> 16, out, checksumAt)
    writeUint16(crc & 0xffff, out, checksumAt + 2)
  }
  return end
}

/** Puts both addresses into `addresses`, one behind the other, and returns the family they are in. */
function parseBoth(source: Endpoint, destination: Endpoint): 0 | 1 | 2 {
  const from = ipToBytes(source.address, addresses, 0)
  if (from === 0) return V2_FAMILY_UNSPEC
  // The second is parsed at 16, where there is room for either length, and moved down behind a 4-byte first.
  const to = ipToBytes(destination.address, addresses, 16)
  if (to === 0) return V2_FAMILY_UNSPEC
  if (from === 4 && to === 4) {
    addresses.copyWithin(4, 16, 20)
    return V2_FAMILY_INET
  }
  if (from === 4) mapInPlace(0)
  if (to === 4) mapInPlace(16)
  return V2_FAMILY_INET6
}

function mapInPlace(at: number): void {
  addresses.copyWithin(at + 12, at, at + 4)
  writeMappedPrefix(addresses, at)
}

function writeUniqueId(uniqueId: Uint8Array, out: Uint8Array, at: number): number {
  if (uniqueId.length > UNIQUE_ID_MAX_BYTES) throw new RangeError('the unique id is longer than 128 bytes')
  writeTlvHeader(TLV_UNIQUE_ID, uniqueId.length, out, at)
  out.set(uniqueId, at + TLV_HEADER_BYTES)
  return at + TLV_HEADER_BYTES + uniqueId.length
}

function writeTlvHeader(type: number, length: number, out: Uint8Array, at: number): void {
  out[at] = type
  writeUint16(length, out, at + 1)
}

function writeUint16(value: number, out: Uint8Array, at: number): number {
  out[at] = value >> 8
  out[at + 1] = value & 255
  return at + 2
}

function writeText(text: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i)
  return at + text.length
}
