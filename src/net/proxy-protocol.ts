/** Numbers of the PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt), shared by reader and writer. */

/** The longest version 1 line, CRLF included. */
export const PROXY_V1_MAX_BYTES = 107

/** Version 2 begins with these twelve bytes. */
export const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a)
/** Signature, version and command, family and protocol, length (big endian, of what follows). */
export const V2_HEADER_BYTES = 16
export const V2_VERSION = 2
export const V2_COMMAND_LOCAL = 0
export const V2_COMMAND_PROXY = 1

export const V2_FAMILY_UNSPEC = 0
export const V2_FAMILY_INET = 1
export const V2_FAMILY_INET6 = 2
export const V2_FAMILY_UNIX = 3
export const V2_PROTOCOL_STREAM = 1
export const V2_PROTOCOL_DGRAM = 2

/** Bytes of the address block by family: both addresses and, except for Unix sockets, both ports. */
export const V2_ADDRESS_BYTES = [0, 12, 36, 216] as const

/** Type, and length of the value (big endian). */
export const TLV_HEADER_BYTES = 3
export const TLV_CRC32C = 0x03
export const TLV_UNIQUE_ID = 0x05
export const UNIQUE_ID_MAX_BYTES = 128

/** The longest version 2 header that the writer makes: IPv6, a unique id, a checksum. */
export const PROXY_V2_MAX_BYTES =
  V2_HEADER_BYTES + V2_ADDRESS_BYTES[V2_FAMILY_INET6] + TLV_HEADER_BYTES + UNIQUE_ID_MAX_BYTES + TLV_HEADER_BYTES + 4
