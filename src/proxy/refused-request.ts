import { CastorError } from '../core/errors.js'

/** A target has turned a request away unread (RFC 9113 8.7): any other may have it, whatever its method. */
export class RefusedRequest extends CastorError {
  /** All of the request that was sent, head and body as for HTTP/1.1; the rest follows it. */
  readonly held: Uint8Array

  constructor(held: Uint8Array, message: string) {
    super('STREAM_REFUSED', message)
    this.held = held
  }
}
