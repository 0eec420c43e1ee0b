import type { PluginRequest } from '../core/plugin.js'
import type { RequestParser } from '../http/request-parser.js'
import { HeadView } from './head-view.js'
import { HeaderChanges } from './header-changes.js'

/** What is known of a request when its head is there. */
export interface RequestFacts {
  readonly parser: RequestParser
  /** The head begins here, and is the request's for as long as it lasts. */
  readonly buffer: Uint8Array
  readonly id: string
  readonly scheme: string
  readonly httpVersion: string
  readonly listener: string
  readonly client: { readonly address: string; readonly port: number }
  readonly tls: PluginRequest['tls']
}

/** A request as plug-ins see it. */
export class RequestView extends HeadView implements PluginRequest {
  readonly changes = new HeaderChanges('request')
  rule = ''
  targetGroup = ''
  /** Of a plug-in that has chosen one in the phase under way. */
  chosen: string | undefined
  /** Whether a group may be chosen now. */
  mayChoose = true
  #sent: PluginRequest['sent'] | undefined
  readonly #facts: RequestFacts
  readonly #ending = new AbortController()

  constructor(facts: RequestFacts) {
    super()
    this.#facts = facts
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** Nobody waits for what a plug-in is doing. */
  end(why: string): void {
    this.#ending.abort(new Error(why))
  }

  get id(): string {
    return this.#facts.id
  }

  get scheme(): string {
    return this.#facts.scheme
  }

  get httpVersion(): string {
    return this.#facts.httpVersion
  }

  get listener(): string {
    return this.#facts.listener
  }

  get client(): PluginRequest['client'] {
    return this.#facts.client
  }

  get tls(): PluginRequest['tls'] {
    return this.#facts.tls
  }

  get method(): string {
    const { methodStart, methodEnd } = this.head
    return this.#text(methodStart, methodEnd)
  }

  get target(): string {
    const { pathStart, pathEnd } = this.head
    return this.#text(pathStart, pathEnd) || '/'
  }

  get path(): string {
    const { pathStart, pathEnd, queryStart } = this.head
    return this.#text(pathStart, queryStart < 0 ? pathEnd : queryStart) || '/'
  }

  get query(): string | undefined {
    const { pathEnd, queryStart } = this.head
    return queryStart < 0 ? undefined : this.#text(queryStart + 1, pathEnd)
  }

  get host(): string {
    const { hostStart, hostEnd } = this.head
    return hostStart < 0 ? '' : this.#text(hostStart, hostEnd)
  }

  get sent(): PluginRequest['sent'] {
    return this.#sent ?? { target: this.target, host: this.host }
  }

  set sent(sent: PluginRequest['sent']) {
    this.#sent = sent
  }

  chooseTargetGroup(name: string): void {
    if (!this.mayChoose) throw new TypeError('a group is chosen in onRequest or onRoute, not later')
    if (typeof name !== 'string') throw new TypeError('the name of a group is text')
    this.chosen = name
  }

  protected get head(): RequestParser {
    return this.#facts.parser
  }

  protected get bytes(): Uint8Array {
    return this.#facts.buffer
  }

  protected get from(): number {
    return 0
  }

  #text(from: number, to: number): string {
    return this.head.text(this.bytes, 0, from, to)
  }
}
