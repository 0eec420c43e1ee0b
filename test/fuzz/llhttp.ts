import { createRequire } from 'node:module'

/** Node's own parser, called straight, so that thousands of inputs a second can be read with it. */
interface NativeParser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void
  execute(bytes: Uint8Array): number | Error
  finish(): Error | undefined
  /** Nobody else lets go of it: it is not collected. */
  close(): void
  [callback: number]: (...args: never[]) => number | undefined
}
interface NativeParserClass {
  new (): NativeParser
  readonly REQUEST: number
  readonly RESPONSE: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
  readonly kLenientAll: number
}

const require = createRequire(import.meta.url)
// Its name begins with an underscore: node:http shares it with nobody else, and has kept it for ten years.
const { HTTPParser, methods } = require('node:_http_common') as {
  readonly HTTPParser: NativeParserClass
  readonly methods: readonly string[]
}

const MAX_HEADER_BYTES = 1024 * 1024

/** Methods that nobody has a reason to refuse. */
export const PLAIN_METHODS: ReadonlySet<string> = new Set('GET HEAD POST PUT DELETE OPTIONS PATCH TRACE'.split(' '))

export interface Message {
  readonly method: string
  readonly target: string
  readonly status: number
  readonly hosts: readonly string[]
  body: string
  complete: boolean
  /** What follows belongs to another protocol. */
  readonly upgrade: boolean
}

export interface Reading {
  readonly messages: readonly Message[]
  /** The code of the error that ended it. */
  readonly error: string
}

const codeOf = (error: unknown): string => String((error as { readonly code?: string }).code ?? error)

/** Reads all of it; the code of the error that ended it, or nothing. */
function endOf(parser: NativeParser, bytes: Uint8Array): string {
  const done = parser.execute(bytes)
  if (done instanceof Error) return codeOf(done)
  if (done < bytes.length) return 'UPGRADE'
  const ended = parser.finish()
  return ended instanceof Error ? codeOf(ended) : ''
}

/**
 * What llhttp makes of a whole stream that then ends. `lenient` is `insecureHTTPParser: true`. `noBody` tells for a
 * response whether it answers a HEAD.
 */
function read(type: number, bytes: Uint8Array, lenient: boolean, noBody: boolean): Reading {
  const messages: Message[] = []
  const parser = new HTTPParser()
  let fields: string[] = []
  let url = ''
  parser[HTTPParser.kOnHeaders] = (more: string[], target: string): undefined => {
    fields.push(...more)
    url += target
  }
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    all: string[] | undefined,
    method: number,
    target: string | undefined,
    status: number,
    _reason: string,
    upgrade: boolean,
  ): number => {
    const pairs = all ?? fields
    const hosts = pairs.filter((_, index) => index % 2 === 1 && pairs[index - 1]!.toLowerCase() === 'host')
    messages.push({
      method: methods[method] ?? '',
      target: target ?? url,
      status: status ?? 0,
      hosts,
      body: '',
      complete: false,
      upgrade,
    })
    fields = []
    url = ''
    // Interim responses have no body either way; 101 is for the caller to judge.
    return noBody && (status ?? 0) >= 200 ? 1 : 0
  }
  parser[HTTPParser.kOnBody] = (data: Buffer): undefined => {
    messages.at(-1)!.body += data.toString('latin1')
  }
  parser[HTTPParser.kOnMessageComplete] = (): undefined => {
    messages.at(-1)!.complete = true
    fields = []
    url = ''
  }
  parser.initialize(type, {}, MAX_HEADER_BYTES, lenient ? HTTPParser.kLenientAll : 0)
  const error = endOf(parser, bytes)
  parser.close()
  return { messages, error }
}

export const readRequests = (bytes: Uint8Array, lenient: boolean): Reading =>
  read(HTTPParser.REQUEST, bytes, lenient, false)

export const readResponses = (bytes: Uint8Array, lenient: boolean, head: boolean): Reading =>
  read(HTTPParser.RESPONSE, bytes, lenient, head)
