/**
 * Bytes as people read and write them in the corpus: Latin-1 text with the escapes `\r \n \t \0 \\ \xHH`, and
 * `\*N{text}` for a text N times over, which may hold others of its kind.
 */

const SIMPLE: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' }
const NAMES: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '\0': '\\0', '\\': '\\\\' }

/** The text that the escapes stand for, one character a byte. Throws on an escape that is none. */
export function unescapeBytes(text: string): string {
  const { result, next } = read(text, 0, false)
  if (next !== text.length) throw new Error(`a "}" too many: ${text}`)
  return result
}

function read(text: string, from: number, nested: boolean): { result: string; next: number } {
  let result = ''
  let at = from
  while (at < text.length) {
    const character = text[at]!
    if (nested && character === '}') return { result, next: at + 1 }
    if (character !== '\\') {
      if (character.charCodeAt(0) > 0xff) throw new Error(`beyond Latin-1: ${text}`)
      result += character
      at++
      continue
    }
    const kind = text[at + 1] ?? ''
    const simple = SIMPLE[kind]
    if (simple !== undefined) {
      result += simple
      at += 2
    } else if (kind === 'x' && /^[0-9a-f]{2}$/i.test(text.slice(at + 2, at + 4))) {
      result += String.fromCharCode(Number.parseInt(text.slice(at + 2, at + 4), 16))
      at += 4
    } else {
      const times = /^\\\*(\d+)\{/.exec(text.slice(at, at + 12))
      if (times === null) throw new Error(`no such escape: ${text.slice(at, at + 8)}`)
      const inner = read(text, at + times[0].length, true)
      result += inner.result.repeat(Number(times[1]))
      at = inner.next
    }
  }
  if (nested) throw new Error(`a "{" is not closed: ${text}`)
  return { result, next: at }
}

/** Bytes as the corpus would have them, long runs of one byte shortened. */
export function escapeBytes(bytes: Uint8Array | string): string {
  const text = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1')
  const runs = text.replace(/([\x20-\x7e])\1{40,}/g, (run, character: string) => `\u0100${run.length}{${character}}`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be made visible.
  const escaped = runs.replace(/[\x00-\x1f\\\x7f-\xff]/g, (character) => NAMES[character] ?? hex(character))
  return escaped.replaceAll('\u0100', '\\*')
}

const hex = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
