import ipaddr from 'ipaddr.js'
import { RECORD_ADDRESS, RECORD_FAMILY } from '../core/connection-record.js'

/** Writes family and address of the record at word `at` from text; IPv4-mapped IPv6 becomes IPv4. Throws on other text. */
export function writeAddressWords(address: string, records: Int32Array, at: number): void {
  const parsed = ipaddr.process(address.split('%')[0] ?? address)
  const bytes = parsed.toByteArray()
  records[at + RECORD_FAMILY] = bytes.length === 4 ? 4 : 6
  const into = new Uint8Array(records.buffer, records.byteOffset + (at + RECORD_ADDRESS) * 4, 16)
  into.fill(0)
  into.set(bytes)
}
