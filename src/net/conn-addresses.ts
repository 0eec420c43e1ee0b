import type { Endpoint } from '../core/conn.js'
import { RECORD_ADDRESS, RECORD_FAMILY, RECORD_PORT, RECORD_WORDS, recordPeer } from '../core/connection-record.js'
import type { NativeAddon } from '../native/addon.js'

export const UNKNOWN: Endpoint = { family: 4, address: '0.0.0.0', port: 0 }

/** One side's address of a connection, by its descriptor; UNKNOWN where there is none, or none yet. */
export function askEndpoint(addon: NativeAddon, fd: number, peer: 0 | 1): Endpoint {
  if (fd < 0) return UNKNOWN
  const record = new Int32Array(RECORD_WORDS)
  return addon.address(fd, peer, record) < 0 ? UNKNOWN : recordPeer(record, 0)
}

/** The address out of a connection record, one number where it is of IPv4: most are never asked for as text. */
export function rememberAddress(records: Int32Array, at: number): Int32Array | number {
  if (records[at + RECORD_FAMILY] === 4) return records[at + RECORD_ADDRESS]!
  return records.slice(at + RECORD_ADDRESS, at + RECORD_ADDRESS + 4)
}

export function rememberedEndpoint(family: number, port: number, address: Int32Array | number): Endpoint {
  const record = new Int32Array(RECORD_WORDS)
  record[RECORD_FAMILY] = family
  record[RECORD_PORT] = port
  if (typeof address === 'number') record[RECORD_ADDRESS] = address
  else record.set(address, RECORD_ADDRESS)
  return recordPeer(record, 0)
}
