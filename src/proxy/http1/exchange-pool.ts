import { ChunkedDecoder } from '../../http/chunked-decoder.js'
import { ResponseParser } from '../../http/response-parser.js'
import { BodyRelay } from './body-relay.js'
import { Exchange } from './exchange.js'
import type { Http1Plane } from './http1-plane.js'

/** A thread's exchanges, used again and again, so that an idle connection holds none and a request allocates none. */
export class ExchangePool {
  readonly #plane: Http1Plane
  readonly #free: Exchange[] = []

  constructor(plane: Http1Plane) {
    this.#plane = plane
  }

  take(): Exchange {
    const known = this.#free.pop()
    if (known !== undefined) return known
    const { limits } = this.#plane
    const relay = (): BodyRelay => new BodyRelay(new ChunkedDecoder(limits))
    return new Exchange(this.#plane, new ResponseParser(limits), relay(), relay(), this.#free)
  }
}
