// Hot path of rules that rewrite: once per request of such a rule. Bytes go into memory that is used again.
import type { RewriteConfig } from '../core/config-rules.js'
import { normalizePath } from '../core/normal-path.js'
import { parseTemplate, type Variable } from '../core/template.js'
import { CLASS, HEX, IN_PATH, PERCENT, QUESTION, SLASH, SP } from '../http/characters.js'
import { hostEnd } from '../http/host.js'
import { METHOD_OPTIONS } from '../http/methods.js'
import type { RequestPath } from './request-path.js'
import { ByteText, type TemplateFacts, type TemplateStep, variableStep } from './template.js'

/** The target is longer than a client's may be. */
const MAX_TARGET_BYTES = 8 * 1024
const ROOT_PREFIX = ['/']
const PLUS = 0x2b
const NOT_HEX = 255
const HEX_DIGITS = Buffer.from('0123456789ABCDEF')
/** A path that a parser behind us could read as another one. */
const DOT_SEGMENT = /(^|\/)(\.|%2e){1,2}(\/|$)/i

/** Bytes that stand for themselves wherever they come from, and what else may in a query that is not of one parameter. */
const UNRESERVED = tableOf('-._~')
const OF_PATHS = tableOf('-._~/:@%')
const NOT_ENCODED = new Uint8Array(256).fill(1)

function tableOf(punctuation: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let byte = 0; byte < 128; byte++) {
    const character = String.fromCharCode(byte)
    if (/[A-Za-z0-9]/.test(character) || punctuation.includes(character)) table[byte] = 1
  }
  return table
}

/** How what a variable brings is written. */
interface Encoding {
  /** 1 for bytes that stay as they are. */
  readonly kept: Uint8Array
  /** Escapes are undone first: it stands in a query. */
  readonly decodes: boolean
}

const AS_IT_IS: Encoding = { kept: NOT_ENCODED, decodes: false }
const AS_SEGMENT: Encoding = { kept: UNRESERVED, decodes: false }
const AS_DECODED_SEGMENT: Encoding = { kept: UNRESERVED, decodes: true }
const AS_PARAMETER: Encoding = { kept: OF_PATHS, decodes: false }

type EncodingOf = (variable: Variable) => Encoding

/** Of the path's normal form, and of what was captured of it, nothing has to be encoded. */
const inPath: EncodingOf = ({ of }) => {
  if (of === 'path' || of === 'capture') return AS_IT_IS
  return of === 'query.' || of === 'query' ? AS_DECODED_SEGMENT : AS_SEGMENT
}
const inQuery: EncodingOf = ({ of }) => {
  if (of === 'query' || of === 'query.') return AS_IT_IS
  return of === 'path' || of === 'capture' ? AS_PARAMETER : AS_SEGMENT
}
const inHost: EncodingOf = () => AS_IT_IS

// Read before the next variable is written.
const brought = new ByteText()

/** A template whose variables are encoded for where they stand. */
class EncodedTemplate {
  readonly #steps: readonly TemplateStep[]
  readonly #encodings: readonly (Encoding | undefined)[]
  readonly #isPath: readonly boolean[]

  constructor(text: string, encodingOf: EncodingOf) {
    const parts = parseTemplate(text)
    this.#steps = parts.map((part) => {
      if (typeof part !== 'string') return variableStep(part)
      const bytes = Buffer.from(part, 'latin1')
      return (out) => out.put(bytes, 0, bytes.length)
    })
    this.#encodings = parts.map((part) => (typeof part === 'string' ? undefined : encodingOf(part)))
    this.#isPath = parts.map((part) => typeof part !== 'string' && part.of === 'path')
  }

  /** `path` is what `${path}` stands for. */
  write(out: ByteText, facts: TemplateFacts, path: RequestPath): void {
    for (let i = 0; i < this.#steps.length && out.length <= MAX_TARGET_BYTES; i++) {
      const encoding = this.#encodings[i]
      if (encoding === undefined) {
        this.#steps[i]!(out, facts)
        continue
      }
      brought.clear()
      if (this.#isPath[i]) brought.put(path.bytes, path.from, path.to)
      else this.#steps[i]!(brought, facts)
      encode(out, brought, encoding)
    }
  }
}

function encode(out: ByteText, { bytes, length }: ByteText, { kept, decodes }: Encoding): void {
  for (let at = 0; at < length; at++) {
    let byte = bytes[at]!
    if (decodes && byte === PLUS) byte = SP
    else if (decodes && byte === PERCENT && at + 2 < length) {
      const high = HEX[bytes[at + 1]!]!
      const low = HEX[bytes[at + 2]!]!
      if (high !== NOT_HEX && low !== NOT_HEX) {
        byte = high * 16 + low
        at += 2
      }
    }
    if (kept[byte] === 1) out.putByte(byte)
    else {
      out.putByte(PERCENT)
      out.putByte(HEX_DIGITS[byte >> 4]!)
      out.putByte(HEX_DIGITS[byte & 15]!)
    }
  }
}

/** What a rule makes of a request's target and host. */
export class Rewrite {
  /** Of the last request: its target is [0, targetEnd) of it, its host [targetEnd, hostEnd); empty where they stay. */
  readonly out = new ByteText()
  targetEnd = 0
  hostEnd = 0
  /** What the path began with that was taken off; empty where nothing was. */
  prefix = ''
  readonly #path: EncodedTemplate | undefined
  readonly #carries: boolean
  readonly #query: EncodedTemplate | undefined
  readonly #host: EncodedTemplate | undefined
  /** Those that the rule matches, the longest first, each with its slash at the end. */
  readonly #prefixes: readonly string[]

  /** `paths` are those of the rule's match. */
  constructor({ path, host, query }: RewriteConfig, paths: readonly string[]) {
    this.#carries = path?.endsWith('/*') ?? false
    this.#path = path === undefined ? undefined : new EncodedTemplate(this.#carries ? path.slice(0, -1) : path, inPath)
    this.#host = host === undefined ? undefined : new EncodedTemplate(host, inHost)
    this.#query = query === undefined ? undefined : new EncodedTemplate(query, inQuery)
    const prefixes = paths.filter((each) => each.endsWith('/*')).map((each) => each.slice(0, -1))
    this.#prefixes = prefixes.length === 0 ? ROOT_PREFIX : prefixes.sort((a, b) => b.length - a.length)
  }

  /** Returns 0, or with what status the request is to be refused. `path` is the request's. */
  write(facts: TemplateFacts, path: RequestPath): number {
    const { out } = this
    out.clear()
    this.prefix = ''
    const status = this.#writeTarget(facts, path)
    if (status !== 0) return status
    this.targetEnd = out.length
    this.#host?.write(out, facts, path)
    this.hostEnd = out.length
    const isHost = this.hostEnd === this.targetEnd || hostEnd(out.bytes, this.targetEnd, this.hostEnd) >= 0
    return isHost && (this.#host === undefined || this.hostEnd > this.targetEnd) ? 0 : 400
  }

  #writeTarget(facts: TemplateFacts, path: RequestPath): number {
    const { parser, buffer, start } = facts
    const { out } = this
    if (this.#path === undefined && this.#query === undefined) return 0
    const from = start + parser.pathStart
    // OPTIONS of the server as a whole has no path (RFC 9110 9.3.7).
    if (parser.method === METHOD_OPTIONS && (parser.pathStart === parser.pathEnd || buffer[from] !== SLASH)) return 0
    if (this.#path === undefined) {
      const to = start + (parser.queryStart < 0 ? parser.pathEnd : parser.queryStart)
      if (from === to) out.putByte(SLASH)
      else out.put(buffer, from, to)
    } else if (!this.#writePath(facts, path)) return 400
    const queryAt = out.length
    if (this.#query !== undefined) {
      out.putByte(QUESTION)
      this.#query.write(out, facts, path)
      if (out.length === queryAt + 1) out.length = queryAt
    } else if (parser.queryStart >= 0) out.put(buffer, start + parser.queryStart, start + parser.pathEnd)
    return out.length > MAX_TARGET_BYTES ? 414 : 0
  }

  /** False where what variables bring makes no path, or one that could be read as another. */
  #writePath(facts: TemplateFacts, path: RequestPath): boolean {
    const { out } = this
    this.#path!.write(out, facts, path)
    if (this.#carries) {
      this.prefix = this.#prefixes.find((prefix) => beginsWith(path, prefix)) ?? '/'
      out.put(path.bytes, path.from + this.prefix.length, path.to)
    }
    const kind = kindOf(out)
    if (kind === PLAIN) return true
    const text = Buffer.from(out.bytes.subarray(0, out.length)).toString('latin1')
    if (kind === NO_PATH || DOT_SEGMENT.test(text)) return false
    out.clear()
    out.putText(normalizePath(text))
    return true
  }
}

function beginsWith({ bytes, from, to }: RequestPath, prefix: string): boolean {
  if (to - from < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[from + i] !== prefix.charCodeAt(i)) return false
  return true
}

const PLAIN = 0
const NO_PATH = 1
/** It has escapes, empty segments, or segments that begin with a dot. */
const TO_NORMALIZE = 2
const DOT = 0x2e

function kindOf({ bytes, length }: ByteText): number {
  if (length === 0 || bytes[0] !== SLASH) return NO_PATH
  let kind = PLAIN
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]!
    if (byte === PERCENT) {
      const high = at + 2 < length ? HEX[bytes[at + 1]!]! : NOT_HEX
      const low = at + 2 < length ? HEX[bytes[at + 2]!]! : NOT_HEX
      // As in the path of a request that is not rewritten.
      if (high === NOT_HEX || low === NOT_HEX || high + low === 0) return NO_PATH
      kind = TO_NORMALIZE
    } else if ((CLASS[byte]! & IN_PATH) === 0) return NO_PATH
    else if (at > 0 && bytes[at - 1] === SLASH && (byte === SLASH || byte === DOT)) kind = TO_NORMALIZE
  }
  return kind
}
