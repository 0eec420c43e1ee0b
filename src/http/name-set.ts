// Hot path of rules that edit headers: one probe per field.
import { FOLD } from './characters.js'

/** Names of header fields, compared as targets may compare them: without case, all punctuation being one (see `FOLD`). */
export class NameSet {
  /** By length, so that nearly every name is told by one look. */
  #byLength: readonly (readonly Uint8Array[])[]

  constructor(names: Iterable<string>) {
    const byLength: Uint8Array[][] = []
    for (const name of names) {
      while (byLength.length <= name.length) byLength.push([])
      byLength[name.length]!.push(Uint8Array.from(name, (character) => FOLD[character.charCodeAt(0)]!))
    }
    this.#byLength = byLength
  }

  /** The names of both. */
  with(other: NameSet): NameSet {
    const both = new NameSet([])
    const length = Math.max(this.#byLength.length, other.#byLength.length)
    both.#byLength = Array.from({ length }, (_, at) => [...(this.#byLength[at] ?? []), ...(other.#byLength[at] ?? [])])
    return both
  }

  has(buffer: Uint8Array, from: number, to: number): boolean {
    const length = to - from
    if (length >= this.#byLength.length) return false
    const names = this.#byLength[length]!
    for (let n = 0; n < names.length; n++) {
      const name = names[n]!
      let i = 0
      while (i < length && FOLD[buffer[from + i]!] === name[i]) i++
      if (i === length) return true
    }
    return false
  }
}
