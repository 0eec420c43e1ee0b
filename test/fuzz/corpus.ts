import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unescapeBytes } from './escapes.js'

/** The form of these files is described in `test/fixtures/http1/README.md`. */

interface Entry {
  /** `family: title`. */
  readonly name: string
  readonly rfc: string
  readonly bytes: Buffer
}

/** A request that must reach the target, and what its head must and must not hold. */
export interface Sight {
  readonly method: string
  readonly target: string
  readonly body: string
  readonly host: string
  readonly has: readonly (readonly [name: string, value: string])[]
  readonly lacks: readonly string[]
  readonly trailers: readonly string[]
}

export interface RequestEntry extends Entry {
  /** Final statuses in order; a last one of 400 and above is a refusal, after which the connection ends. */
  readonly answers: readonly number[]
  readonly sees: readonly Sight[]
  /** A request comes last whose body is broken or never ends. */
  readonly cut: boolean
  /** An unfinished head comes last. */
  readonly partial: boolean
  /** The balancer closes although it refused nothing. */
  readonly closes: boolean
}

export interface ResponseEntry extends Entry {
  readonly method: string
  readonly minor: 0 | 1
  readonly status: number
  readonly body: string
  /** The client is left with a response that is not whole. */
  readonly cut: boolean
  readonly interim: readonly number[]
  readonly end: 'open' | 'close' | 'reset'
  /** Sent by the target when the client has had its answer. */
  readonly late: string
  readonly kept: boolean
  readonly has: readonly (readonly [name: string, value: string])[]
  readonly lacks: readonly string[]
  readonly trailers: readonly string[]
}

const FOLDER = 'test/fixtures/http1'

/** Found from the compiled file upwards, and from where the tests are run. */
function corpusFolder(): string {
  for (const begin of [dirname(fileURLToPath(import.meta.url)), process.cwd()]) {
    for (let folder = begin; ; folder = dirname(folder)) {
      if (existsSync(join(folder, FOLDER))) return join(folder, FOLDER)
      if (folder === dirname(folder)) break
    }
  }
  throw new Error(`no ${FOLDER} above this file`)
}

type Line = readonly [keyword: string, rest: string]

interface Raw {
  readonly name: string
  readonly lines: readonly Line[]
}

/** The entries of one kind, in the order of their files; `default` lines and pieces are put in. */
function readFamilies(kind: 'requests' | 'responses'): Raw[] {
  const folder = join(corpusFolder(), kind)
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .flatMap((file) => readFamily(file.slice(0, -4), readFileSync(join(folder, file), 'utf8')))
}

function readFamily(family: string, text: string): Raw[] {
  const pieces = new Map<string, string>()
  const defaults: Line[] = []
  const entries: { name: string; lines: Line[] }[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('=== ')) {
      entries.push({ name: `${family}: ${line.slice(4)}`, lines: [] })
      continue
    }
    const space = line.indexOf(' ')
    const keyword = space < 0 ? line : line.slice(0, space)
    const rest = (space < 0 ? '' : line.slice(space + 1)).replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
      const piece = pieces.get(name)
      if (piece === undefined) throw new Error(`${family}: no piece is named ${name}`)
      return piece
    })
    const entry = entries.at(-1)
    if (entry !== undefined) entry.lines.push([keyword, rest])
    else if (keyword === 'let') {
      const [name = '', value = ''] = rest.split(/ = (.*)/s)
      pieces.set(name, value)
    } else if (keyword === 'default') {
      defaults.push(rest.split(/ (.*)/s).slice(0, 2) as unknown as Line)
    } else throw new Error(`${family}: what is ${line}?`)
  }
  return entries.map(({ name, lines }) => ({ name, lines: withDefaults(lines, defaults) }))
}

/** An entry that says how it ends takes no default about that. */
const OUTCOMES = new Set(['answers', 'cut', 'sees'])

function withDefaults(lines: readonly Line[], defaults: readonly Line[]): Line[] {
  const own = new Set(lines.map(([keyword]) => keyword))
  const decided = [...own].some((keyword) => OUTCOMES.has(keyword))
  const isWanted = (keyword: string): boolean =>
    !own.has(keyword) && (keyword !== 'cut' || !decided) && (keyword !== 'answers' || !own.has('answers'))
  return [...lines, ...defaults.filter(([keyword]) => isWanted(keyword)).map(([k, rest = '']): Line => [k, rest])]
}

class Lines {
  readonly name: string
  readonly #lines: readonly Line[]

  constructor(raw: Raw, known: readonly string[]) {
    this.name = raw.name
    this.#lines = raw.lines
    for (const [keyword] of raw.lines) {
      if (!known.includes(keyword)) throw new Error(`${raw.name}: what is "${keyword}"?`)
    }
  }

  all(keyword: string): string[] {
    return this.#lines.filter(([key]) => key === keyword).map(([, rest]) => rest)
  }

  has(keyword: string): boolean {
    return this.#lines.some(([key]) => key === keyword)
  }

  one(keyword: string, otherwise?: string): string {
    const [value = otherwise] = this.all(keyword)
    if (value === undefined) throw new Error(`${this.name}: no "${keyword}"`)
    return value
  }

  get bytes(): Buffer {
    return Buffer.from(unescapeBytes(this.all('|').join('')), 'latin1')
  }

  [Symbol.iterator](): Iterator<Line> {
    return this.#lines[Symbol.iterator]()
  }
}

function pair(text: string): [string, string] {
  const colon = text.indexOf(':')
  return [unescapeBytes(text.slice(0, colon)), unescapeBytes(text.slice(colon + 1).replace(/^ /, ''))]
}

const REQUEST_WORDS = 'rfc answers sees host has lacks trailer cut partial closes |'.split(' ')

export function requestCorpus(): RequestEntry[] {
  return readFamilies('requests').map((raw) => {
    const lines = new Lines(raw, REQUEST_WORDS)
    const answers = lines.one('answers')
    return {
      name: raw.name,
      rfc: lines.one('rfc'),
      bytes: lines.bytes,
      answers: answers === 'none' ? [] : answers.split(' ').map(Number),
      sees: sights(lines),
      cut: lines.has('cut'),
      partial: lines.has('partial'),
      closes: lines.has('closes'),
    }
  })
}

interface OpenSight extends Sight {
  host: string
  readonly has: [string, string][]
  readonly lacks: string[]
  readonly trailers: string[]
}

function sights(lines: Lines): Sight[] {
  const found: OpenSight[] = []
  for (const [keyword, rest] of lines) {
    const last = found.at(-1)
    if (keyword === 'sees') {
      const [, method = '', target = '', body = ''] = /^(\S+) (\S+)(?: body=(.*))?$/s.exec(rest) ?? []
      const sight = { method, target: unescapeBytes(target), body: unescapeBytes(body), host: 'h' }
      found.push({ ...sight, has: [], lacks: [], trailers: [] })
    } else if (last === undefined) {
      if (['host', 'has', 'lacks', 'trailer'].includes(keyword)) throw new Error(`${lines.name}: ${keyword} of what?`)
    } else if (keyword === 'host') last.host = rest
    else if (keyword === 'has') last.has.push(pair(rest))
    else if (keyword === 'lacks') last.lacks.push(unescapeBytes(rest))
    else if (keyword === 'trailer') last.trailers.push(unescapeBytes(rest))
  }
  return found
}

const RESPONSE_WORDS = 'rfc to answers cut interim then late kept dropped has lacks trailer |'.split(' ')

export function responseCorpus(): ResponseEntry[] {
  return readFamilies('responses').map((raw) => {
    const lines = new Lines(raw, RESPONSE_WORDS)
    const [method = 'GET', version = '1.1'] = lines.one('to', 'GET').split(' ')
    const cut = lines.has('cut')
    const [status = '', body = ''] = lines.one(cut ? 'cut' : 'answers').split(/ (.*)/s)
    const whole = !cut && status !== '502'
    if (whole && lines.has('kept') === lines.has('dropped')) throw new Error(`${raw.name}: kept or dropped?`)
    return {
      name: raw.name,
      rfc: lines.one('rfc'),
      bytes: lines.bytes,
      method,
      minor: version === '1.0' ? 0 : 1,
      status: Number(status),
      body: unescapeBytes(body),
      cut,
      interim: unescapeBytes(lines.one('interim', '')).trim().split(' ').filter(Boolean).map(Number),
      end: lines.one('then', 'open') as ResponseEntry['end'],
      late: unescapeBytes(lines.one('late', '')),
      kept: whole && lines.has('kept'),
      has: lines.all('has').map(pair),
      lacks: lines.all('lacks').map(unescapeBytes),
      trailers: lines.all('trailer').map(unescapeBytes),
    }
  })
}
