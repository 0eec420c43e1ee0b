import { z } from 'zod'
import { TLS_VERSIONS } from '../core/tls.js'
import { duration, flag, mustBe, off, wholeNumber } from './fields.js'
import { unknownCiphers } from './tls-policy.js'

/** How listeners speak TLS, and how targets are spoken to over it. */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const YEAR_SECONDS = 31_536_000

const file = () => z.string().min(1, mustBe('the path of a file'))
const DOMAIN = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i

const domain = () =>
  z
    .string()
    .regex(DOMAIN, { error: ({ input }) => `${JSON.stringify(input)} is no domain; write a.example or "*.example"` })
    .transform((written) => written.toLowerCase().replace(/\.$/, ''))

const certificate = z
  .strictObject({
    cert: file().describe(
      'PEM file with the certificate, then those of the authorities that issued it, the root left out. Relative to the configuration file; read again when it changes.',
    ),
    key: file().describe('PEM file with its private key, not encrypted. Relative to the configuration file.'),
    domains: z
      .array(domain())
      .prefault([])
      .describe('Names to serve it for, like a.example or "*.example". Default: those that the certificate names.'),
  })
  .describe('A certificate chain and its key.')

const version = (name: string) =>
  z.enum(TLS_VERSIONS).describe(`${name} version that is agreed to: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3.`)

const ciphers = () =>
  z.string().superRefine((list, context) => {
    const unknown = unknownCiphers(list)
    if (unknown.length === 0) return
    const message = `OpenSSL knows no cipher by ${unknown.map((name) => JSON.stringify(name)).join(', ')}; openssl ciphers lists them`
    context.addIssue({ code: 'custom', message, input: list })
  })

const policy = z
  .union(
    [
      z.enum(['modern', 'intermediate']),
      z.strictObject({
        minVersion: version('Lowest').prefault('TLSv1.2'),
        maxVersion: version('Highest').prefault('TLSv1.3'),
        ciphers: ciphers()
          .prefault('')
          .describe(
            'Cipher suites in OpenSSL’s form, by preference, those of TLS 1.3 (TLS_…) among them. Default: those of intermediate.',
          ),
      }),
    ],
    mustBe('modern, intermediate, or a map of minVersion, maxVersion and ciphers'),
  )
  .prefault('intermediate')
  .describe(
    'Versions and ciphers. intermediate (default): TLS 1.2 with forward-secret authenticated ciphers, and 1.3. modern: TLS 1.3 only, which leaves out clients from before 2018. A map says it in detail; TLS 1.0 and 1.1 are to be had by that alone.',
  )

const clientCertificates = z
  .strictObject({
    mode: z
      .enum(['none', 'request', 'require'])
      .prefault('none')
      .describe(
        'Whether clients are asked for a certificate. none (default); request: asked, and let in without; require: refused without. One that does not verify is refused in both.',
      ),
    ca: z
      .string()
      .prefault('')
      .describe(
        'PEM file of the authorities that clients’ certificates must come from; needed for request and require.',
      ),
  })
  .prefault({})
  .describe('Certificates of clients (mTLS); what they say is passed to targets in X-Client-Cert-* headers.')

const hsts = z
  .union(
    [
      off(),
      z.strictObject({
        maxAge: wholeNumber(0, 10 * YEAR_SECONDS).describe(
          'Seconds for which browsers ask for https only. 0 to 315360000; 31536000 (a year) is usual. Higher protects longer and cannot be taken back; 0 makes them forget.',
        ),
        includeSubDomains: flag().prefault(false).describe('Whether it holds for all subdomains too. Default false.'),
        preload: flag()
          .prefault(false)
          .describe(
            'Whether browsers may come with it built in; asks for includeSubDomains and a year. Default false.',
          ),
      }),
    ],
    mustBe('off, or a map with maxAge'),
  )
  .prefault('off')
  .describe('Strict-Transport-Security on every response of an https listener. Default off; or { maxAge: 31536000 }.')

export const listenerTls = z
  .strictObject({
    certificates: z
      .array(certificate)
      .min(1, { error: 'must hold at least one certificate' })
      .describe(
        'Certificates, chosen by the name the client asks for: exact, then the longest "*.", then the first. One name may have an RSA and an ECDSA one.',
      ),
    policy,
    alpn: z
      .array(z.string().regex(/^[\x21-\x7e]{1,64}$/, mustBe('the name of a protocol')))
      .optional()
      .describe(
        'Protocols offered by ALPN, by preference. Default [h2, http/1.1, http/1.0] for https, none for tls. Without h2 clients speak HTTP/1.1.',
      ),
    clientCertificates,
    sessionTickets: flag()
      .prefault(true)
      .describe(
        'Whether clients get tickets that make their next handshake short. Default on. Keys change every 8 hours; off costs CPU on every connection.',
      ),
    hsts,
    handshakeTimeout: duration(100, 5 * MINUTE)
      .prefault('10s')
      .describe(
        'How long a handshake may take. Duration, 100ms to 5m, default 10s. Higher lets silent clients hold connections; lower refuses clients on bad links.',
      ),
  })
  .optional()
  .describe('TLS of a tls or https listener; required there.')

export const groupTls = z
  .strictObject({
    verify: flag()
      .prefault(true)
      .describe(
        'Whether targets must show a certificate that verifies. Default true; false lets anyone in between read along.',
      ),
    ca: z
      .string()
      .prefault('')
      .describe('PEM file of the authorities that targets’ certificates must come from. Default: those of the system.'),
    serverName: z
      .string()
      .regex(/^[A-Za-z0-9._-]*$/, mustBe('a host name'))
      .prefault('')
      .describe(
        'Name that is asked for (SNI) and verified. Default: the target’s host name; a target given by address is asked for none and its address is verified.',
      ),
    cert: z.string().prefault('').describe('PEM file of a certificate to show to targets. Default none.'),
    key: z.string().prefault('').describe('PEM file of its private key. Default none.'),
  })
  .optional()
  .describe('TLS to the targets of an https, h2 or tls group. Default { verify: true }.')
