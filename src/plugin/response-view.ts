import type { PluginResponse } from '../core/plugin.js'
import type { ResponseParser } from '../http/response-parser.js'
import { HeadView } from './head-view.js'
import { HeaderChanges } from './header-changes.js'

/** Where the head of an answer lies by now: it moves while a plug-in is waited for. */
export interface PlacedHead {
  readonly parser: ResponseParser
  readonly buffer: Uint8Array
  readonly start: number
}

/** The head of a target's answer as plug-ins see it, until it is sent. */
export class ResponseView extends HeadView implements PluginResponse {
  readonly changes = new HeaderChanges('response')
  readonly status: number
  readonly target: string
  #placed: PlacedHead | undefined

  constructor(placed: PlacedHead, target: string) {
    super()
    this.status = placed.parser.status
    this.target = target
    this.#placed = placed
  }

  /** The head is on its way: whoever still has the view changes nothing any more, and reads nothing of another's. */
  seal(): void {
    this.#placed = undefined
  }

  protected get head(): ResponseParser {
    return this.#open().parser
  }

  protected get bytes(): Uint8Array {
    return this.#open().buffer
  }

  protected get from(): number {
    return this.#open().start
  }

  #open(): PlacedHead {
    if (this.#placed === undefined) throw new TypeError('the answer is on its way already')
    return this.#placed
  }
}
