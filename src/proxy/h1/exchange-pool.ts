import { ChunkedDecoder } from '../../http/chunked-decoder.js'
import { ResponseParser } from '../../http/response-parser.js'
import { BodyRelay } from './body-relay.js'
import { Exchange } from './exchange.js'
import type { Http1Context } from './h1-context.js'

/** A thread's exchanges, used again and again, so that an idle connection holds none and a request allocates none. */
export class ExchangePool {
  readonly #context: Http1Context
  readonly #free: Exchange[] = []

  constructor(context: Http1Context) {
    this.#context = context
  }

  take(): Exchange {
    const known = this.#free.pop()
    if (known !== undefined) return known
    const { limits, transport } = this.#context
    // A response's head is put together in scratch, with hardly anything added.
    const maxHeaderBytes = Math.min(limits.maxHeaderBytes, transport.scratch.length / 2)
    const relay = (): BodyRelay => new BodyRelay(new ChunkedDecoder(limits))
    return new Exchange(this.#context, new ResponseParser({ ...limits, maxHeaderBytes }), relay(), relay(), this.#free)
  }
}
