import { ANY_PROTOCOL, isHttpProtocol, UPGRADE_PROTOCOL, WEBSOCKET } from '../core/upgrade-protocols.js'
import { HEADER_ID, HEADER_STRIDE, VALUE_END, VALUE_START } from './head-layout.js'
import { HEADER_UPGRADE } from './header-names.js'
import type { RequestParser } from './request-parser.js'
import type { ResponseParser } from './response-parser.js'

/** Which protocols a connection may switch to by Upgrade (RFC 9110 7.8). Once per such request: nothing here is hot. */

/** Never told to a client either: Castor would not switch to it. */
const H2C = /^h2c/i

const elementsOf = (value: string): string[] =>
  value
    .split(',')
    .map((element) => element.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((element) => UPGRADE_PROTOCOL.test(element))

/** What a listener tunnels. */
export class Upgrades {
  readonly webSocket: boolean
  readonly #any: boolean
  readonly #listed: ReadonlySet<string>

  /** Names, with a version where only that one is meant, or `any`. */
  constructor(protocols: readonly string[]) {
    this.#listed = new Set(protocols.map((protocol) => protocol.toLowerCase()))
    this.#any = this.#listed.has(ANY_PROTOCOL)
    this.webSocket = this.#any || this.#listed.has(WEBSOCKET)
  }

  /** What of the request's Upgrade goes on to its target; empty where nothing does, and the request goes on without. */
  offered(parser: RequestParser, buffer: Uint8Array, start: number): string {
    if (parser.upgradeWebSocket) return this.webSocket ? WEBSOCKET : ''
    if (parser.upgradeStart < 0) return ''
    const value = parser.text(buffer, start, parser.upgradeStart, parser.upgradeEnd)
    return elementsOf(value)
      .filter((protocol) => this.#tunnels(protocol.toLowerCase()))
      .join(', ')
  }

  /** Whoever wants a WebSocket asks for it by itself, with the method and fields that RFC 6455 4.1 has. */
  #tunnels(protocol: string): boolean {
    if (isHttpProtocol(protocol) || protocol.startsWith(WEBSOCKET)) return false
    return this.#any || this.#listed.has(protocol) || this.#listed.has(protocol.replace(/\/.*/, ''))
  }
}

/** Whether a 101 switches to nothing except what was offered. */
export function switchesTo(offered: string, parser: ResponseParser, buffer: Uint8Array, start: number): boolean {
  if (offered === '' || !parser.upgrade) return false
  const value = parser.text(buffer, start, parser.upgradeStart, parser.upgradeEnd)
  const known = elementsOf(offered.toLowerCase())
  const wanted = value.toLowerCase().split(',')
  return wanted.every((element) => known.includes(element.trim()))
}

/** The protocols that a 426 asks for (RFC 9110 15.5.22), of all its Upgrade fields; empty where none may be passed on. */
export function requiredUpgrade(parser: ResponseParser, buffer: Uint8Array, start: number): string {
  const { headers } = parser
  const protocols: string[] = []
  for (let entry = 0, last = parser.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    if (headers[entry + HEADER_ID] !== HEADER_UPGRADE) continue
    protocols.push(
      ...elementsOf(parser.text(buffer, start, headers[entry + VALUE_START]!, headers[entry + VALUE_END]!)),
    )
  }
  return protocols.filter((protocol) => !H2C.test(protocol)).join(', ')
}
