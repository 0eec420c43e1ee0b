import { FIELD_WORDS, FieldList } from '../../../../src/http/h2/field-list.js'

export type Field = readonly [name: string, value: string]

/** A header block as a list of fields. */
export function listOf(fields: readonly Field[]): FieldList {
  const list = new FieldList()
  for (const [name, value] of fields) {
    const a = Buffer.from(name, 'latin1')
    const b = Buffer.from(value, 'latin1')
    list.push(a, 0, a.length, b, 0, b.length)
  }
  return list
}

export function fieldsOf(list: FieldList): Field[] {
  const text = (from: number, to: number): string => Buffer.from(list.bytes.subarray(from, to)).toString('latin1')
  return Array.from({ length: list.count }, (_, i) => {
    const at = i * FIELD_WORDS
    const { offsets } = list
    return [text(offsets[at]!, offsets[at + 1]!), text(offsets[at + 2]!, offsets[at + 3]!)] as const
  })
}
