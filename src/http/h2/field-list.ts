// Hot path: one list holds the fields of one HTTP/2 header block after the other; nothing is allocated per field.

/** Words a field takes in `offsets`: where its name and its value begin and end. */
export const FIELD_WORDS = 4

/**
 * Names and values of a header block in order, pseudo-header fields included, as bytes in one arena. What it holds is
 * valid until `clear`.
 */
export class FieldList {
  bytes: Uint8Array
  /** nameStart, nameEnd, valueStart, valueEnd of each field. */
  offsets: Int32Array
  count = 0
  /** First free byte of `bytes`. */
  end = 0

  constructor(bytes = 4096, fields = 64) {
    this.bytes = new Uint8Array(bytes)
    this.offsets = new Int32Array(fields * FIELD_WORDS)
  }

  clear(): void {
    this.count = 0
    this.end = 0
  }

  /** Makes room for `bytes` more; what `bytes` was before is no longer to be written to. */
  reserve(bytes: number): void {
    if (this.end + bytes > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.end + bytes))
      larger.set(this.bytes.subarray(0, this.end))
      this.bytes = larger
    }
    if ((this.count + 1) * FIELD_WORDS > this.offsets.length) {
      const larger = new Int32Array(this.offsets.length * 2)
      larger.set(this.offsets)
      this.offsets = larger
    }
  }

  /** Copies one field in. */
  push(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.reserve(nameEnd - nameStart + valueEnd - valueStart)
    const { bytes, offsets } = this
    let at = this.count++ * FIELD_WORDS
    let end = this.end
    offsets[at++] = end
    for (let i = nameStart; i < nameEnd; i++) bytes[end++] = name[i]!
    offsets[at++] = end
    offsets[at++] = end
    for (let i = valueStart; i < valueEnd; i++) bytes[end++] = value[i]!
    offsets[at] = end
    this.end = end
  }

  /** Its own arena, of just the size. */
  copy(): FieldList {
    const copy = new FieldList(this.end, this.count)
    copy.bytes.set(this.bytes.subarray(0, this.end))
    copy.offsets.set(this.offsets.subarray(0, this.count * FIELD_WORDS))
    copy.count = this.count
    copy.end = this.end
    return copy
  }
}
