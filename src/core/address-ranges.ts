/**
 * Networks as sorted ranges that do not overlap: a million of them take 8 MiB (IPv4) or 32 MiB (IPv6), and a look-up is a
 * binary search. An IPv4-mapped IPv6 address is the IPv4 address that it is.
 */
export interface AddressRanges {
  /** First and last address of each range, as numbers below 2^32. */
  readonly v4: Uint32Array
  /** The same in four words each, the highest first. */
  readonly v6: Uint32Array
}
