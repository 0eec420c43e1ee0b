import { CastorError } from '../core/errors.js'
import type { ClientTls } from '../core/tls.js'
import { ECONNRESET, EPOLLERR, EPOLLHUP, EPOLLOUT } from '../native/addon.js'
import { TLS_BROKEN } from '../native/tls-addon.js'
import { isLocalShortage } from './local-shortage.js'
import { CLOSE, type Closing, LINGER } from './native-closing.js'
import type { NativeIo } from './native-io.js'
import type { NativeTls } from './native-tls.js'

/** What a connection that is not open yet is going through. */
export interface Opening {
  /** TLS is spoken already: what is read and written is the handshake's. */
  readonly shaking: boolean
  /** After an event, or with flags 0: 1 when it is open, 0 when more must happen, or a negative errno. */
  step(transport: NativeIo, fd: number, flags: number): number
  errorOf(transport: NativeIo, fd: number, errno: number): CastorError
  /** How to close after that errno. */
  closing(errno: number): Closing
}

function connectStep(transport: NativeIo, fd: number, flags: number): number {
  if ((flags & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return 0
  const error = transport.addon.socketError(fd)
  return error < 0 ? error : 1
}

function dialError(transport: NativeIo, errno: number): CastorError {
  const name = transport.addon.errorName(errno)
  return new CastorError(isLocalShortage(name) ? 'LOCAL_SHORTAGE' : 'CONNECT_FAILED', name)
}

/** The system connects. Without state: all connections share it. */
export const DIALLING: Opening = {
  shaking: false,
  step: connectStep,
  errorOf: (transport, _fd, errno) => dialError(transport, errno),
  closing: () => CLOSE,
}

/** An accepted connection's handshake. */
export const SHAKING_HANDS: Opening = {
  shaking: true,
  step: (transport, fd) => transport.tls.handshake(fd),
  errorOf: (transport, fd, errno) => transport.tls.errorOf(fd, errno, true, false),
  // In TLS 1.3 the client has finished and sends its request; closed, that would be answered with a reset, and a client
  // that fails to write tells its user of that instead of the alert, such as that a certificate is required.
  closing: (errno) => (errno === TLS_BROKEN ? LINGER : CLOSE),
}

/** The system connects, and the handshake with a target follows. */
export class TlsDialling implements Opening {
  shaking = false
  readonly #context: ClientTls
  readonly #address: string
  readonly #port: number
  readonly #inClear: Uint8Array | undefined

  /** `inClear` goes before the handshake. */
  constructor(context: ClientTls, address: string, port: number, inClear: Uint8Array | undefined) {
    this.#context = context
    this.#address = address
    this.#port = port
    this.#inClear = inClear
  }

  step(transport: NativeIo, fd: number, flags: number): number {
    if (!this.shaking) {
      const connected = connectStep(transport, fd, flags)
      if (connected !== 1) return connected
      const told = this.#tell(transport, fd)
      if (told < 0) return told
      const error = transport.tls.connect(fd, this.#context, this.#address, this.#port)
      if (error < 0) return error
      this.shaking = true
    }
    return transport.tls.handshake(fd)
  }

  /** A connection that has just opened takes so little at once. */
  #tell(transport: NativeIo, fd: number): number {
    const bytes = this.#inClear
    if (bytes === undefined) return 0
    const sent = transport.addon.sendFrom(fd, bytes, 0, bytes.length)
    return sent < 0 || sent === bytes.length ? sent : ECONNRESET
  }

  errorOf(transport: NativeIo, fd: number, errno: number): CastorError {
    return this.shaking ? transport.tls.errorOf(fd, errno, true, true) : dialError(transport, errno)
  }

  closing(): Closing {
    return CLOSE
  }
}

/** What a negative errno means for a connection in that state; `engine` where it speaks TLS. */
export function errorOf(
  transport: NativeIo,
  opening: Opening | undefined,
  engine: NativeTls | undefined,
  fd: number,
  errno: number,
): CastorError {
  if (opening !== undefined) return opening.errorOf(transport, fd, errno)
  if (engine !== undefined) return engine.errorOf(fd, errno, false, false)
  return new CastorError('PEER_RESET', transport.addon.errorName(errno))
}
