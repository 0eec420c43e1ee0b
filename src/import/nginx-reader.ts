import { ImportError } from './findings.js'

/** nginx.conf as directives and blocks. */

export interface NginxDirective {
  readonly name: string
  readonly args: readonly string[]
  readonly line: number
  /** Undefined for one that ends in a semicolon. */
  readonly block: readonly NginxDirective[] | undefined
}

interface Token {
  readonly text: string
  readonly line: number
  /** `;`, `{` and `}` mean something only where they are not quoted. */
  readonly isMark: boolean
}

const MAX_DEPTH = 32

/** @throws ImportError for what nginx would not read either. */
export function readNginx(text: string): readonly NginxDirective[] {
  const top: NginxDirective[] = []
  const open: NginxDirective[][] = [top]
  let words: Token[] = []
  const directive = (line: number, block: NginxDirective[] | undefined): void => {
    const [name, ...args] = words
    if (name === undefined) throw new ImportError(line, 'has a mark where a directive should begin')
    open.at(-1)!.push({ name: name.text, args: args.map((word) => word.text), line: name.line, block })
    words = []
  }
  let last = 1
  for (const token of tokens(text)) {
    last = token.line
    if (!token.isMark) words.push(token)
    else if (token.text === ';') directive(token.line, undefined)
    else if (token.text === '{') {
      if (open.length > MAX_DEPTH) throw new ImportError(token.line, `has blocks more than ${MAX_DEPTH} deep`)
      const block: NginxDirective[] = []
      directive(token.line, block)
      open.push(block)
    } else {
      if (words.length > 0) throw new ImportError(token.line, `"${words[0]!.text}" has no semicolon`)
      if (open.length === 1) throw new ImportError(token.line, 'has a } too many')
      open.pop()
    }
  }
  if (words.length > 0) throw new ImportError(words[0]!.line, `"${words[0]!.text}" has no semicolon`)
  if (open.length > 1) throw new ImportError(last, 'the file ends within a block')
  return top
}

function* tokens(text: string): Generator<Token> {
  let line = 1
  let word: string | undefined
  let from = 1
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '\n') line++
    if (word === undefined && character === '#') {
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end - 1
    } else if (word === undefined && (character === '"' || character === "'")) {
      from = line
      const quoted = quotedText(text, at, line)
      yield { text: quoted.text, line: from, isMark: false }
      line += quoted.lines
      at = quoted.end
    } else if (
      /\s/.test(character) ||
      character === ';' ||
      (character === '{' && !word?.endsWith('$')) ||
      (character === '}' && word === undefined)
    ) {
      if (word !== undefined) yield { text: word, line: from, isMark: false }
      word = undefined
      if (!/\s/.test(character)) yield { text: character, line, isMark: true }
    } else {
      if (word === undefined) from = line
      if (character === '\\' && /["'\\\s;{}]/.test(text[at + 1] ?? '')) word = (word ?? '') + text[++at]
      else word = (word ?? '') + character
    }
  }
  if (word !== undefined) yield { text: word, line: from, isMark: false }
}

function quotedText(text: string, start: number, line: number): { text: string; end: number; lines: number } {
  const quote = text[start]!
  const parts: string[] = []
  let lines = 0
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]!
    if (character === quote) return { text: parts.join(''), end: at, lines }
    if (character === '\n') lines++
    const next = text[at + 1]
    if (character === '\\' && (next === quote || next === '\\')) parts.push(text[++at]!)
    else parts.push(character)
  }
  throw new ImportError(line, `has a ${quote} without its end`)
}
