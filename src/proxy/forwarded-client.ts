// Per request of a trusted proxy, and of nobody else.
import type { Endpoint } from '../core/conn.js'
import type { TlsInfo } from '../core/tls.js'
import { HEADER_ID, HEADER_STRIDE, VALUE_END, VALUE_START } from '../http/head-layout.js'
import { HEADER_X_FORWARDED_FOR } from '../http/header-names.js'
import type { RequestParser } from '../http/request-parser.js'
import type { CidrSet } from '../net/cidr-set.js'
import { ipFromBytes, ipToBytes } from '../net/ip-bytes.js'
import type { ClientAddress, KeyOfClient } from './client-address.js'

const bytes = new Uint8Array(16)

/** Whom a trusted proxy in front names as the client of one request, in X-Forwarded-For. */
class ForwardedOrigin implements ClientAddress {
  readonly source: Endpoint
  readonly isForwarded = true
  sessionKey: KeyOfClient | undefined = undefined
  readonly #proxy: ClientAddress

  constructor(client: Endpoint, proxy: ClientAddress) {
    this.source = client
    this.#proxy = proxy
  }

  /** The connection is the proxy's. */
  get place(): number {
    return this.#proxy.place
  }

  get vip(): string {
    return this.#proxy.vip
  }

  get vport(): number {
    return this.#proxy.vport
  }

  get tls(): TlsInfo | undefined {
    return this.#proxy.tls
  }
}

/** The clients of one connection of a trusted proxy, request by request. */
export class ForwardedClients {
  readonly #proxy: ClientAddress
  readonly #trusted: CidrSet
  /** What was said last, and who that is: proxies keep connections for a client's requests. */
  #text = ''
  #clientAddress: ClientAddress

  constructor(proxy: ClientAddress, trusted: CidrSet) {
    this.#proxy = proxy
    this.#trusted = trusted
    this.#clientAddress = proxy
  }

  /** Whom the request is from: the proxy itself where it names nobody. */
  of(parser: RequestParser, buffer: Uint8Array, start: number): ClientAddress {
    const text = forwardedFor(parser, buffer, start)
    if (text === this.#text) return this.#clientAddress
    this.#text = text
    const client = lastUntrusted(text, this.#trusted)
    this.#clientAddress = client === undefined ? this.#proxy : new ForwardedOrigin(client, this.#proxy)
    return this.#clientAddress
  }
}

/** The values of all X-Forwarded-For fields, in their order. */
function forwardedFor(parser: RequestParser, buffer: Uint8Array, start: number): string {
  const { headers } = parser
  let text = ''
  for (let entry = 0, end = parser.headerCount * HEADER_STRIDE; entry < end; entry += HEADER_STRIDE) {
    if (headers[entry + HEADER_ID] !== HEADER_X_FORWARDED_FOR) continue
    const value = parser.text(buffer, start, headers[entry + VALUE_START]!, headers[entry + VALUE_END]!)
    text = text === '' ? value : `${text},${value}`
  }
  return text
}

/**
 * Each proxy adds whom it was asked by, so the list is believed from its end on: as far as those that said it are trusted.
 * The client is the first from there that is not, or the first of the list. What is no address ends the search: it was
 * said by a proxy that is trusted, of somebody who cannot be known better than by that proxy. Undefined without any.
 */
export function lastUntrusted(text: string, trusted: CidrSet): Endpoint | undefined {
  let found: Endpoint | undefined
  for (let end = text.length; end > 0; ) {
    const comma = text.lastIndexOf(',', end - 1)
    const element = text.slice(comma + 1, end).trim()
    end = comma
    // RFC 9110 5.6.1.2: empty elements are skipped.
    if (element === '') continue
    const endpoint = parseElement(element)
    if (endpoint === undefined) break
    found = endpoint
    if (!trusted.has(endpoint)) break
  }
  return found
}

/** An address, which some proxies write with its port; IPv6 then in brackets. */
function parseElement(element: string): Endpoint | undefined {
  const [, v6, v4, portText] = /^(?:"?\[([^\]]*)\]|([0-9.]+))(?::(\d{1,5}))?"?$/.exec(element) ?? []
  const length = ipToBytes(v6 ?? v4 ?? element, bytes, 0)
  if (length === 0) return undefined
  const address = ipFromBytes(bytes, 0, length)
  return { family: address.includes(':') ? 6 : 4, address, port: portText === undefined ? 0 : Number(portText) }
}
