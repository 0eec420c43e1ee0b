import { ImportError } from './findings.js'

/** A Caddyfile as lines of words, each with the block that it opens. */

export interface CaddyLine {
  readonly words: readonly string[]
  readonly line: number
  readonly block: readonly CaddyLine[] | undefined
}

const MAX_DEPTH = 32

/** @throws ImportError for what Caddy would not read either. */
export function readCaddy(text: string): readonly CaddyLine[] {
  const top: CaddyLine[] = []
  const open: CaddyLine[][] = [top]
  let words: string[] = []
  let from = 1
  const end = (block: CaddyLine[] | undefined): void => {
    if (words.length > 0 || block !== undefined) open.at(-1)!.push({ words, line: from, block })
    words = []
  }
  let line = 1
  let at = 0
  while (at < text.length) {
    const character = text[at]!
    if (character === '\n') {
      // A list of addresses goes on behind a comma.
      if (!words.at(-1)?.endsWith(',')) end(undefined)
      line++
      at++
    } else if (/\s/.test(character)) at++
    else if (character === '#') {
      const next = text.indexOf('\n', at)
      at = next < 0 ? text.length : next
    } else {
      const word = wordAt(text, at, line)
      if (words.length === 0) from = line
      at = word.end
      line += word.lines
      const closes = /^[ \t\r]*(#[^\n]*)?(\n|$)/.test(text.slice(at, at + 200))
      if (word.text === '{' && !word.quoted && closes) {
        if (open.length > MAX_DEPTH) throw new ImportError(line, `has blocks more than ${MAX_DEPTH} deep`)
        const block: CaddyLine[] = []
        end(block)
        open.push(block)
      } else if (word.text === '}' && !word.quoted) {
        end(undefined)
        if (open.length === 1) throw new ImportError(line, 'has a } too many')
        open.pop()
      } else words.push(word.text)
    }
  }
  end(undefined)
  if (open.length > 1) throw new ImportError(line, 'the file ends within a block')
  return top
}

interface Word {
  readonly text: string
  readonly end: number
  readonly lines: number
  readonly quoted: boolean
}

function wordAt(text: string, start: number, line: number): Word {
  const quote = text[start]!
  if (quote !== '"' && quote !== '`') {
    let end = start
    while (end < text.length && !/\s/.test(text[end]!)) end++
    return { text: text.slice(start, end), end, lines: 0, quoted: false }
  }
  const parts: string[] = []
  let lines = 0
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]!
    if (character === quote) return { text: parts.join(''), end: at + 1, lines, quoted: true }
    if (character === '\n') lines++
    if (quote === '"' && character === '\\' && text[at + 1] === '"') parts.push(text[++at]!)
    else parts.push(character)
  }
  throw new ImportError(line, `has a ${quote} without its end`)
}
