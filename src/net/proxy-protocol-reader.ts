import type { Endpoint } from '../core/conn.js'
import { crc32c } from './crc32c.js'
import { ipFromBytes, ipToBytes, isMapped } from './ip-bytes.js'
import {
  PROXY_V1_MAX_BYTES,
  TLV_CRC32C,
  TLV_HEADER_BYTES,
  TLV_UNIQUE_ID,
  UNIQUE_ID_MAX_BYTES,
  V2_ADDRESS_BYTES,
  V2_COMMAND_LOCAL,
  V2_COMMAND_PROXY,
  V2_FAMILY_INET,
  V2_FAMILY_UNIX,
  V2_FAMILY_UNSPEC,
  V2_HEADER_BYTES,
  V2_PROTOCOL_DGRAM,
  V2_PROTOCOL_STREAM,
  V2_SIGNATURE,
  V2_VERSION,
} from './proxy-protocol.js'

/** What `feed` returns. */
export const PROXY_NEED_MORE = 0
export const PROXY_DONE = 1
export const PROXY_INVALID = 2

const V1_PREFIX = new TextEncoder().encode('PROXY ')
const CR = 13
const LF = 10

const scratch = new Uint8Array(16)

/**
 * Reads the PROXY protocol header, version 1 or 2, that a connection begins with, as strictly as its specification
 * allows: bytes that cannot become a header are refused at once, so that a client which sends none is not waited for.
 */
export class ProxyProtocolReader {
  /** After DONE: bytes of the header; what follows belongs to the connection. */
  headerLength = 0
  /** After DONE: who the header says is talking, and to which address; undefined where it leaves the real ones standing. */
  source: Endpoint | undefined = undefined
  destination: Endpoint | undefined = undefined
  /** After DONE: the version 2 unique id, a copy. */
  uniqueId: Uint8Array | undefined = undefined
  /** After INVALID: what is wrong, for the log. */
  problem = ''
  readonly #maxBytes: number

  /** `maxBytes` limits a whole version 2 header; raising it lets senders with many TLVs in, at that memory each. */
  constructor(maxBytes = 4096) {
    this.#maxBytes = maxBytes
  }

  /**
   * Takes all bytes from the header's first, [start, end), each time more of them, and returns NEED_MORE, DONE or
   * INVALID. Nothing is kept of the buffer.
   */
  feed(buffer: Uint8Array, start: number, end: number): number {
    if (end <= start) return PROXY_NEED_MORE
    if (buffer[start] === V2_SIGNATURE[0]) return this.#feedV2(buffer, start, end)
    return this.#feedV1(buffer, start, end)
  }

  #feedV1(buffer: Uint8Array, start: number, end: number): number {
    if (!beginsWith(buffer, start, end, V1_PREFIX)) return this.#invalid('no PROXY protocol header')
    const limit = Math.min(end, start + PROXY_V1_MAX_BYTES)
    let lf = start
    while (lf < limit && !(buffer[lf] === LF && buffer[lf - 1] === CR)) lf++
    if (lf === limit) {
      if (end - start < PROXY_V1_MAX_BYTES) return PROXY_NEED_MORE
      return this.#invalid(`no line end in ${PROXY_V1_MAX_BYTES} bytes`)
    }
    const words = String.fromCharCode(...buffer.subarray(start, lf - 1)).split(' ')
    this.headerLength = lf + 1 - start
    // "UNKNOWN" may be followed by anything, which says nothing.
    if (words[1] === 'UNKNOWN') return PROXY_DONE
    if (words[1] !== 'TCP4' && words[1] !== 'TCP6') return this.#invalid('the protocol is not TCP4, TCP6 or UNKNOWN')
    const bytes = words[1] === 'TCP4' ? 4 : 16
    const source = v1Endpoint(bytes, words[2], words[4])
    const destination = v1Endpoint(bytes, words[3], words[5])
    if (words.length !== 6 || !source || !destination) return this.#invalid('the addresses or ports are malformed')
    this.source = source
    this.destination = destination
    return PROXY_DONE
  }

  #feedV2(buffer: Uint8Array, start: number, end: number): number {
    if (!beginsWith(buffer, start, end, V2_SIGNATURE)) return this.#invalid('no PROXY protocol header')
    if (end - start <= 12) return PROXY_NEED_MORE
    const versionCommand = buffer[start + 12]!
    const command = versionCommand & 15
    if (versionCommand >> 4 !== V2_VERSION) return this.#invalid('the version is not 2')
    if (command > V2_COMMAND_PROXY) return this.#invalid('the command is not LOCAL or PROXY')
    if (end - start <= 13) return PROXY_NEED_MORE
    const family = buffer[start + 13]! >> 4
    const protocol = buffer[start + 13]! & 15
    // A LOCAL header is accepted whatever it says of families.
    if (command === V2_COMMAND_PROXY && (family > V2_FAMILY_UNIX || protocol > V2_PROTOCOL_DGRAM)) {
      return this.#invalid('the address family or protocol is unassigned')
    }
    if (end - start < V2_HEADER_BYTES) return PROXY_NEED_MORE
    const headerLength = V2_HEADER_BYTES + uint16(buffer, start + 14)
    if (headerLength > this.#maxBytes) return this.#invalid(`longer than ${this.#maxBytes} bytes`)
    const keepsPeer = command === V2_COMMAND_LOCAL || family === V2_FAMILY_UNSPEC
    const tlvAt = V2_HEADER_BYTES + V2_ADDRESS_BYTES[family as 0 | 1 | 2 | 3]
    if (!keepsPeer && headerLength < tlvAt) return this.#invalid('shorter than its addresses')
    if (end - start < headerLength) return PROXY_NEED_MORE
    this.headerLength = headerLength
    if (keepsPeer) return PROXY_DONE
    const problem = this.#readTlvs(buffer, start, start + tlvAt, start + headerLength)
    if (problem !== '') return this.#invalid(problem)
    // Datagram and Unix senders say nothing that a TCP connection could be said to come from.
    if (protocol !== V2_PROTOCOL_STREAM || family === V2_FAMILY_UNIX) return PROXY_DONE
    this.#readAddresses(buffer, start + V2_HEADER_BYTES, family === V2_FAMILY_INET ? 4 : 16)
    return PROXY_DONE
  }

  #readAddresses(buffer: Uint8Array, at: number, length: 4 | 16): void {
    const ports = at + 2 * length
    this.source = endpoint(buffer, at, length, uint16(buffer, ports))
    this.destination = endpoint(buffer, at + length, length, uint16(buffer, ports + 2))
  }

  /** Returns what is wrong, or nothing. Types it does not know are stepped over. */
  #readTlvs(buffer: Uint8Array, start: number, from: number, end: number): string {
    let checked = false
    for (let at = from; at < end; ) {
      const valueAt = at + TLV_HEADER_BYTES
      if (valueAt > end) return 'a TLV is cut short'
      const length = uint16(buffer, at + 1)
      if (valueAt + length > end) return 'a TLV reaches beyond the header'
      if (buffer[at] === TLV_UNIQUE_ID) {
        if (length > UNIQUE_ID_MAX_BYTES) return `the unique id is longer than ${UNIQUE_ID_MAX_BYTES} bytes`
        this.uniqueId = buffer.slice(valueAt, valueAt + length)
      } else if (buffer[at] === TLV_CRC32C) {
        if (checked || length !== 4) return 'the checksum TLV is malformed'
        checked = true
        const acquired = uint16(buffer, valueAt) * 0x10000 + uint16(buffer, valueAt + 2)
        if (crc32c(buffer, start, end, valueAt) !== acquired) return 'the checksum does not match'
      }
      at = valueAt + length
    }
    return ''
  }

  #invalid(problem: string): number {
    this.problem = problem
    this.headerLength = 0
    this.uniqueId = undefined
    return PROXY_INVALID
  }
}

/** Compares as many bytes as there are. */
function beginsWith(buffer: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  const length = Math.min(end - start, expected.length)
  for (let i = 0; i < length; i++) if (buffer[start + i] !== expected[i]) return false
  return true
}

function uint16(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 8) | buffer[at + 1]!
}

function endpoint(buffer: Uint8Array, at: number, length: 4 | 16, port: number): Endpoint {
  const family = length === 4 || isMapped(buffer, at) ? 4 : 6
  return { family, address: ipFromBytes(buffer, at, length), port }
}

/** Undefined unless address and port are written exactly as the specification's grammar says. */
function v1Endpoint(bytes: 4 | 16, address: string | undefined, port: string | undefined): Endpoint | undefined {
  if (address === undefined || address.includes('%') || ipToBytes(address, scratch, 0) !== bytes) return undefined
  if (port === undefined || !/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) return undefined
  return endpoint(scratch, 0, bytes, Number(port))
}
