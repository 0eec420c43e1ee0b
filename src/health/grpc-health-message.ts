/** The two messages of grpc.health.v1, in Protocol Buffers' wire format. */

/** `HealthCheckResponse.ServingStatus`. */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const
export const SERVING = 1

const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const FIXED32 = 5
/** Both messages have one field, number 1. */
const SERVICE_TAG = (1 << 3) | LENGTH_DELIMITED
const STATUS_FIELD = 1
/** A 64-bit number takes no more. */
const MAX_VARINT_BYTES = 10

export function statusName(status: number): string {
  return STATUSES[status] ?? `status ${status}`
}

/** `HealthCheckRequest`: the default value, an empty name, is left out. */
export function writeHealthRequest(service: string): Uint8Array {
  if (service === '') return new Uint8Array(0)
  const name = Buffer.from(service, 'utf8')
  return Buffer.concat([Buffer.from([SERVICE_TAG, ...varint(name.length)]), name])
}

/** The status of a `HealthCheckResponse`, UNKNOWN where it says none; undefined for what is no message. */
export function readHealthStatus(message: Uint8Array): number | undefined {
  const reader = new WireReader(message)
  let status = 0
  while (!reader.atEnd) {
    const tag = reader.varint()
    const field = Math.floor(tag / 8)
    const type = tag % 8
    if (field === 0) return undefined
    if (field === STATUS_FIELD && type !== VARINT) return undefined
    const value = reader.skip(type)
    if (reader.failed) return undefined
    if (field === STATUS_FIELD) status = value
  }
  return status
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return [...bytes, rest]
}

class WireReader {
  failed = false
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.failed || this.#at >= this.#bytes.length
  }

  /** Exact up to 2^53, as far as a length or a status goes. */
  varint(): number {
    let value = 0
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) break
      value += (byte % 128) * 128 ** i
      if (byte < 128) return value
    }
    this.failed = true
    return 0
  }

  /** Passes over a value of that wire type; what it is where it is a varint, else 0. */
  skip(type: number): number {
    switch (type) {
      case VARINT:
        return this.varint()
      case FIXED64:
        return this.#pass(8)
      case LENGTH_DELIMITED:
        return this.#pass(this.varint())
      case FIXED32:
        return this.#pass(4)
      default:
        this.failed = true
        return 0
    }
  }

  #pass(bytes: number): number {
    this.#at += bytes
    if (this.#at > this.#bytes.length) this.failed = true
    return 0
  }
}
