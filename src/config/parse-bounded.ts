import {
  Composer,
  CST,
  type Document,
  type ErrorCode,
  isAlias,
  isNode,
  Lexer,
  type Node,
  type ParsedNode,
  Parser,
  visit,
  type YAMLError,
  YAMLParseError,
} from 'yaml'

/** Keys, values, lists and maps: enough for twenty thousand targets. */
export const MAX_NODES = 100_000
/** What the text is cut into: words, punctuation, white space, comments. */
const MAX_LEXEMES = 5 * MAX_NODES
/** Of a text that is not YAML: more say nothing that the first ones do not, and each costs a trace of the library's. */
const MAX_COMPLAINTS = 20
/** Lists and maps within each other. */
export const MAX_DEPTH = 32
export const TOO_DEEP = `lists and maps stand within each other more than ${MAX_DEPTH} deep`

export type BoundedYaml =
  /** Too much to be looked at; `offset` is where. */
  | Excess
  | {
      readonly contents: ParsedNode | null
      readonly complaints: readonly YAMLError[]
      /** What each alias stands for: the value that has the anchor last before it. */
      readonly aliased: ReadonlyMap<Node, Node>
    }

/**
 * Parses one document in time and depth that do not depend on what the text holds: the library composes values
 * recursively, and looks through the whole document for each alias.
 */
export function parseBounded(text: string): BoundedYaml {
  const tokens = tokenize(text)
  if (!Array.isArray(tokens)) return tokens
  const excess = findExcess(tokens)
  if (excess !== undefined) return excess
  const complaints: YAMLError[] = []
  const composer = composing(complaints)
  let first: Document.Parsed | undefined
  try {
    for (const document of composer.compose(tokens, true, text.length)) {
      if (first === undefined) {
        first = document as Document.Parsed
        // What stands behind the document.
        for (const complaint of first.errors) complaints.push(complaint)
      } else {
        complaints.push({
          code: 'MULTIPLE_DOCS',
          message: '',
          pos: [document.range[0], document.range[1]],
        } as YAMLError)
        break
      }
    }
  } catch (cause) {
    if (cause !== ENOUGH) throw cause
  }
  return {
    contents: first?.contents ?? null,
    complaints: complaints.slice(0, MAX_COMPLAINTS),
    aliased: first === undefined || !text.includes('*') ? new Map() : resolveAliases(first),
  }
}

type Collect = (
  source: number | readonly number[] | { readonly offset: number; readonly source?: string },
  code: ErrorCode,
  message: string,
) => void

const ENOUGH = new Error('enough of what is wrong')

/**
 * The library collects whatever is wrong. Its own collecting, which it declares private, is replaced by one that ends with
 * the last complaint that anybody wants; tests notice where a release of the library calls it something else.
 */
function composing(complaints: YAMLError[]): Composer {
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false })
  const collecting = composer as unknown as { onError: Collect }
  collecting.onError = (source, code, message) => {
    complaints.push(new YAMLParseError(spanOf(source), code, message))
    if (complaints.length >= MAX_COMPLAINTS) throw ENOUGH
  }
  return composer
}

function spanOf(source: Parameters<Collect>[0]): [number, number] {
  if (typeof source === 'number') return [source, source + 1]
  if ('offset' in source) return [source.offset, source.offset + (source.source?.length ?? 1)]
  return [source[0]!, source[1]!]
}

interface Excess {
  readonly refused: string
  readonly offset: number
}

const TOO_MANY = `the file holds more than ${MAX_NODES} values`

/** Stops in the middle of a text that holds too much, or is wrong, since parsing costs a microsecond and more per byte. */
function tokenize(text: string): CST.Token[] | Excess {
  const parser = new Parser()
  const tokens: CST.Token[] = []
  let lexemes = 0
  let scalars = 0
  let wrong = 0
  let offset = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      tokens.push(token)
      if (token.type === 'error') wrong++
    }
    if (wrong >= MAX_COMPLAINTS) break
    // The lexer's marks are no part of the text; one stands before each scalar.
    if (lexeme === CST.SCALAR) scalars++
    else if (lexeme !== CST.DOCUMENT && lexeme !== CST.FLOW_END) offset += lexeme.length
    if (scalars > MAX_NODES || ++lexemes > MAX_LEXEMES) return { refused: TOO_MANY, offset }
  }
  tokens.push(...parser.end())
  return tokens
}

/** Without recursion, since that is what a deep text would break. */
function findExcess(tokens: readonly CST.Token[]): Excess | undefined {
  const open: { token: CST.Token | null | undefined; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }))
  let count = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next
    if (!token) continue
    if (++count > MAX_NODES) return { refused: TOO_MANY, offset: token.offset }
    if (depth > MAX_DEPTH) return { refused: TOO_DEEP, offset: token.offset }
    if (token.type === 'document') open.push({ token: token.value, depth })
    if (!('items' in token)) continue
    for (const item of token.items) {
      open.push({ token: item.value, depth: depth + 1 })
      if (item.key) open.push({ token: item.key, depth: depth + 1 })
    }
  }
  return undefined
}

/** In one walk through the document, in its order. */
function resolveAliases(document: Document.Parsed): Map<Node, Node> {
  const anchored = new Map<string, Node>()
  const aliased = new Map<Node, Node>()
  visit(document, (_, node) => {
    if (isAlias(node)) {
      const found = anchored.get(node.source)
      if (found !== undefined) aliased.set(node, found)
    } else if (isNode(node) && node.anchor !== undefined) {
      anchored.set(node.anchor, node)
    }
  })
  return aliased
}
