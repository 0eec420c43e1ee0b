import { ImportError } from './findings.js'

/** haproxy.cfg as sections and words. */

export interface HaproxyLine {
  readonly line: number
  readonly words: readonly string[]
  /** As written, for reports. */
  readonly text: string
}

export interface HaproxySection {
  readonly kind: string
  readonly name: string
  readonly line: number
  /** Those of the defaults section that holds for it, then its own. */
  readonly lines: readonly HaproxyLine[]
  /** How many of them are its defaults'. */
  readonly inherited: number
}

const SECTIONS = [
  'global',
  'defaults',
  'frontend',
  'backend',
  'listen',
  'userlist',
  'peers',
  'resolvers',
  'mailers',
  'cache',
  'program',
  'http-errors',
  'ring',
  'log-forward',
  'fcgi-app',
  'crt-store',
]
const MAX_LINE = 16_384

/** @throws ImportError for what HAProxy would not read either. */
export function readHaproxy(text: string): readonly HaproxySection[] {
  const sections: HaproxySection[] = []
  const namedDefaults = new Map<string, readonly HaproxyLine[]>()
  let defaults: readonly HaproxyLine[] = []
  let open: HaproxyLine[] | undefined
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    if (written.length > MAX_LINE) throw new ImportError(line, `is longer than ${MAX_LINE} characters`)
    const words = wordsOf(written, line)
    const [kind, name = ''] = words
    if (kind === undefined) continue
    if (!SECTIONS.includes(kind)) {
      if (open === undefined) throw new ImportError(line, `"${kind}" stands before the first section`)
      open.push({ line, words, text: written.trim() })
      continue
    }
    const from = words[2] === 'from' ? words[3] : name === 'from' ? words[2] : undefined
    const base = from === undefined ? defaults : namedDefaults.get(from)
    if (base === undefined) throw new ImportError(line, `there is no defaults section "${from}" before it`)
    const inherits = kind === 'frontend' || kind === 'backend' || kind === 'listen'
    const inherited = inherits || from !== undefined ? base : []
    open = [...inherited]
    sections.push({ kind, name, line, lines: open, inherited: inherited.length })
    if (kind === 'defaults') {
      defaults = open
      if (name !== '' && name !== 'from') namedDefaults.set(name, open)
    }
  }
  return sections
}

/** Words by blanks; "weak" and 'strong' quotes, backslashes, and # for the rest of the line (configuration manual, 2.2). */
function wordsOf(text: string, line: number): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (quote === "'") {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '\\') {
      const next = text[++at]
      if (next === undefined) throw new ImportError(line, 'ends in a backslash')
      word = (word ?? '') + escaped(next, text, at, line)
      if (next === 'x') at += 2
    } else if (character === '"' || (character === "'" && quote === '')) {
      quote = quote === character ? '' : character
      word ??= ''
    } else if (quote === '' && character === '#') {
      break
    } else if (quote === '' && /\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + character
    }
  }
  if (quote !== '') throw new ImportError(line, `has a ${quote} without its end`)
  if (word !== undefined) words.push(word)
  return words
}

function escaped(next: string, text: string, at: number, line: number): string {
  if (next === 'n') return '\n'
  if (next === 'r') return '\r'
  if (next === 't') return '\t'
  if (next !== 'x') return /[\s#'"\\$]/.test(next) ? next : `\\${next}`
  const digits = text.slice(at + 1, at + 3)
  if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw new ImportError(line, 'has a \\x without two hex digits')
  return String.fromCharCode(Number.parseInt(digits, 16))
}
