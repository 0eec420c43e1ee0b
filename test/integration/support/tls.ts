import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingHttpHeaders, request as plainRequest, type RequestOptions } from 'node:http'
import { request as secureRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { Authority, type CertificateFiles } from '../../certificates.js'
import type { Test } from './castor.js'
import { within } from './waiting.js'

/** An authority with a directory of its own, gone with the test. */
export function authorityFor(t: Test): Authority {
  const directory = mkdtempSync(join(tmpdir(), 'castor-tls-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return new Authority(directory)
}

/** Keys of an https listener that serves these certificates. */
export function secured(certificates: readonly CertificateFiles[], more: object = {}, listener: object = {}): object {
  const pairs = certificates.map(({ cert, key }) => ({ cert, key }))
  return { protocol: 'https', tls: { certificates: pairs, ...more }, ...listener }
}

/** A finished handshake. Rejects with what the server or OpenSSL said. */
export async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => {})
  await within('the handshake', once(socket, 'secureConnect'))
  return socket
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Common name of the server's certificate; empty where it spoke no TLS. */
  readonly server: string
}

/** One request on a connection of its own; over TLS unless told otherwise. */
export function ask(
  port: number,
  options: RequestOptions & ConnectionOptions & { readonly body?: string; readonly plain?: boolean } = {},
): Promise<Answer> {
  const { body, plain = false, ...rest } = options
  const how = { host: '127.0.0.1', port, agent: false, rejectUnauthorized: false, ...rest } as RequestOptions
  const answer = new Promise<Answer>((resolve, reject) => {
    const sent = (plain ? plainRequest : secureRequest)(how, (response) => {
      const parts: Buffer[] = []
      const server = plain ? '' : String((response.socket as TLSSocket).getPeerCertificate().subject.CN)
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          text: Buffer.concat(parts).toString('latin1'),
          server,
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
  return within('the answer', answer)
}

/** What a test does that has a handshake fail: why the client thinks it did. */
export async function refusedHandshake(port: number, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  const failed = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('close', () => resolve('closed'))
  })
  // By TLS 1.3 a client is done before the server has looked at its certificate.
  socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
  socket.resume()
  try {
    return await within('the refusal', failed)
  } finally {
    socket.destroy()
  }
}
