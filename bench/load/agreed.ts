import { connect, type EphemeralKeyInfo } from 'node:tls'
import { CIPHER_SUITE, CURVE } from '../proxies/certificate.js'

const WITHIN_MS = 5000

/**
 * Shakes hands once and rejects where TLS version, cipher suite or curve are not those of the comparison: else
 * ciphers would be compared, not proxies.
 */
export function checkAgreed(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false })
    socket.setTimeout(WITHIN_MS, () => socket.destroy(new Error(`no TLS handshake within ${WITHIN_MS} ms`)))
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('closed in the middle of a TLS handshake')))
    socket.once('secureConnect', () => {
      const { name: curve } = socket.getEphemeralKeyInfo() as EphemeralKeyInfo
      const agreed = `${socket.getProtocol()} ${socket.getCipher().name} ${curve}`
      const wanted = `TLSv1.3 ${CIPHER_SUITE} ${CURVE}`
      if (agreed === wanted) resolve()
      else reject(new Error(`TLS came to ${agreed}, where all are to come to ${wanted}`))
      socket.destroy()
    })
  })
}
