// Hot path of rules that have templates. Bytes go into memory that is used again.
import type { Endpoint } from '../core/conn.js'
import { parseTemplate, type TemplatePart, type Variable } from '../core/template.js'
import { copyBytes, equalsIgnoringCase, writeDecimal } from '../http/bytes.js'
import { QUESTION } from '../http/characters.js'
import { CookieFinder } from '../http/cookie.js'
import { HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../http/head-layout.js'
import type { RequestParser } from '../http/request-parser.js'
import { QueryFinder } from './query-finder.js'

/** What templates may tell of a request. The head begins at `start` of `buffer`; all of it borrowed, one object for many requests. */
export interface TemplateFacts {
  parser: RequestParser
  buffer: Uint8Array
  start: number
  client: Endpoint
  /** Of the socket that the client dialled. */
  port: number
  scheme: string
  requestId: Uint8Array
  listener: string
  rule: string
  targetGroup: string
  /** Empty where there is none. */
  target: string
  tlsVersion: string
  tlsServerName: string
  /** What the rule's expression has captured, by group. */
  captures: readonly string[]
}

/** Bytes put together one after the other, in memory that grows and is used again. */
export class ByteText {
  bytes = new Uint8Array(1024)
  length = 0

  clear(): void {
    this.length = 0
  }

  /** Makes room for so many more. */
  room(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    const grown = new Uint8Array((this.length + bytes) * 2)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  put(source: Uint8Array, from: number, to: number): void {
    this.room(to - from)
    this.length = copyBytes(this.bytes, this.length, source, from, to)
  }

  /** Characters beyond Latin-1 are written as "?": cut to a byte they could be any. */
  putText(text: string): void {
    this.room(text.length)
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      this.bytes[this.length++] = code > 0xff ? QUESTION : code
    }
  }

  putNumber(value: number): void {
    this.room(16)
    this.length = writeDecimal(this.bytes, this.length, value)
  }

  putByte(byte: number): void {
    this.room(1)
    this.bytes[this.length++] = byte
  }
}

export type TemplateStep = (out: ByteText, facts: TemplateFacts) => void

/** A template, ready to be written for one request after the other. What is written holds no control characters. */
export class Template {
  readonly #steps: readonly TemplateStep[]

  /** @throws RangeError for what `parseTemplate` refuses, which the checks of the configuration have. */
  constructor(text: string) {
    this.#steps = parseTemplate(text).map(stepOf)
  }

  write(out: ByteText, facts: TemplateFacts): void {
    const steps = this.#steps
    for (let i = 0; i < steps.length; i++) steps[i]!(out, facts)
  }

  /** The same; false, and not all of it, once `out` is longer than `most`. */
  writeWithin(out: ByteText, facts: TemplateFacts, most: number): boolean {
    const steps = this.#steps
    for (let i = 0; i < steps.length; i++) {
      steps[i]!(out, facts)
      if (out.length > most) return false
    }
    return true
  }
}

function stepOf(part: TemplatePart): TemplateStep {
  if (typeof part === 'string') {
    const bytes = Buffer.from(part, 'latin1')
    return (out) => out.put(bytes, 0, bytes.length)
  }
  return variableStep(part)
}

/** Writes what the variable stands for. */
export function variableStep(variable: Variable): TemplateStep {
  switch (variable.of) {
    case 'host':
      return (out, { parser, buffer, start }) => out.put(buffer, start + parser.hostStart, start + parser.hostNameEnd)
    case 'port':
      return (out, facts) => out.putNumber(portOf(facts) || (facts.scheme === 'https' ? 443 : 80))
    case 'path':
      return putPath
    case 'query':
      return (out, { parser, buffer, start }) => {
        if (parser.queryStart >= 0) out.put(buffer, start + parser.queryStart + 1, start + parser.pathEnd)
      }
    case 'method':
      return (out, { parser, buffer, start }) => out.put(buffer, start + parser.methodStart, start + parser.methodEnd)
    case 'scheme':
      return (out, { scheme }) => out.putText(scheme)
    case 'client_ip':
      return (out, { client }) => out.putText(client.address)
    case 'client_port':
      return (out, { client }) => out.putNumber(client.port)
    case 'request_id':
      return (out, { requestId }) => out.put(requestId, 0, requestId.length)
    case 'listener':
      return (out, { listener }) => out.putText(listener)
    case 'rule':
      return (out, { rule }) => out.putText(rule)
    case 'target_group':
      return (out, { targetGroup }) => out.putText(targetGroup)
    case 'target':
      return (out, { target }) => out.putText(target)
    case 'tls_version':
      return (out, { tlsVersion }) => out.putText(tlsVersion)
    case 'tls_server_name':
      return (out, { tlsServerName }) => out.putText(tlsServerName)
    case 'header.':
      return headerStep(variable.name)
    case 'cookie.':
      return cookieStep(variable.name)
    case 'query.':
      return parameterStep(variable.name)
    case 'capture':
      return (out, { captures }) => out.putText(captures[variable.group] ?? '')
  }
}

/** What Host says, else where the client has connected to. */
export function portOf({ parser, buffer, start, port }: TemplateFacts): number {
  let said = 0
  for (let at = parser.hostNameEnd + 1; at < parser.hostEnd; at++) said = said * 10 + buffer[start + at]! - 0x30
  if (said > 0) return said
  // A host without a port means its scheme's own.
  return parser.hostStart >= 0 ? 0 : port
}

/** "/" where an absolute target has none. */
function putPath(out: ByteText, { parser, buffer, start }: TemplateFacts): void {
  const to = parser.queryStart < 0 ? parser.pathEnd : parser.queryStart
  if (parser.pathStart === to || buffer[start + parser.pathStart] === QUESTION) out.putText('/')
  else out.put(buffer, start + parser.pathStart, start + to)
}

/** The first of that name. */
function headerStep(name: string): TemplateStep {
  const wanted = Buffer.from(name, 'latin1')
  return (out, { parser, buffer, start }) => {
    const { headers } = parser
    for (let entry = 0, end = parser.headerCount * HEADER_STRIDE; entry < end; entry += HEADER_STRIDE) {
      const from = start + headers[entry + NAME_START]!
      if (!equalsIgnoringCase(buffer, from, start + headers[entry + NAME_END]!, wanted)) continue
      out.put(buffer, start + headers[entry + VALUE_START]!, start + headers[entry + VALUE_END]!)
      return
    }
  }
}

function cookieStep(name: string): TemplateStep {
  const cookie = new CookieFinder(name)
  return (out, { parser, buffer, start }) => {
    if (cookie.inRequest(parser, buffer, start)) out.put(buffer, cookie.valueStart, cookie.valueEnd)
  }
}

/** As it stands in the query, escapes and all: decoded it could be anything. */
function parameterStep(name: string): TemplateStep {
  const parameter = new QueryFinder(name)
  return (out, { parser, buffer, start }) => {
    if (parser.queryStart < 0) return
    if (parameter.next(buffer, start + parser.queryStart + 1, start + parser.pathEnd) >= 0) {
      out.put(buffer, parameter.rawStart, parameter.rawEnd)
    }
  }
}
