import { CastorError } from '../core/errors.js'
import { type TlsFault, TlsHandshakeError } from '../core/tls.js'

/** OpenSSL's reasons, of any version 3, in the order in which they are looked for. */
const FAULTS: readonly [reason: RegExp, fault: TlsFault, detail: string][] = [
  [/no shared cipher/, 'NO_SHARED_CIPHER', 'the two sides have no cipher in common'],
  [/alert handshake failure/, 'NO_SHARED_CIPHER', 'the other side found nothing that both speak'],
  [/no suitable (key share|signature algorithm|groups)/, 'NO_SHARED_CIPHER', 'no key or signature in common'],
  [/unsupported protocol|version too low|alert protocol version/, 'NO_SHARED_VERSION', 'no TLS version in common'],
  [/no application protocol/, 'NO_SHARED_PROTOCOL', 'no protocol of ALPN in common'],
  [/http request|https proxy request/, 'PLAIN_HTTP', 'plain HTTP is spoken on a port for TLS'],
  [/wrong version number|unknown protocol|record layer failure|packet length too long/, 'NOT_TLS', 'this is not TLS'],
  [/did not return a certificate/, 'CERTIFICATE_REQUIRED', 'the client sent no certificate'],
  [/alert certificate required/, 'CERTIFICATE_REQUIRED', 'the target asks for a client certificate'],
  [/alert unknown ca/, 'UNKNOWN_CA', 'the other side does not know the CA of our certificate'],
  [/issuer certificate|self-signed|self signed|verify the first|not trusted/, 'UNKNOWN_CA', 'signed by an unknown CA'],
  [
    /alert (bad|unsupported|revoked|expired|unknown)? ?certificate|certificate (revoked|expired|unknown)/,
    'CERTIFICATE_REJECTED',
    'the other side refused our certificate',
  ],
  [/certificate verify failed/, 'CERTIFICATE_REJECTED', 'its certificate does not verify'],
]

/** `reason` in OpenSSL's words. */
export function handshakeBroken(reason: string, cause?: unknown): TlsHandshakeError {
  const options = cause === undefined ? undefined : { cause }
  for (const [pattern, fault, detail] of FAULTS) {
    if (pattern.test(reason)) return new TlsHandshakeError(fault, `${detail} (${reason})`, options)
  }
  return new TlsHandshakeError('PROTOCOL_ERROR', reason, options)
}

/** The other side went away; `how` is the system's name for it, empty for an ordinary end. */
export function handshakeLeft(how: string, dialled: boolean, cause?: unknown): TlsHandshakeError {
  const options = cause === undefined ? undefined : { cause }
  const who = dialled ? 'target' : 'client'
  const detail = `the ${who} closed the connection during the handshake${how === '' ? '' : ` (${how})`}`
  return new TlsHandshakeError(dialled ? 'PROTOCOL_ERROR' : 'CLIENT_CLOSED', detail, options)
}

export function cutOff(): CastorError {
  return new CastorError('TLS_TRUNCATED', 'the stream ended without close_notify')
}
