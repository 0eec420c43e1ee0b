import { z } from 'zod'
import { flag, mustBe, perSecond, size, wholeNumber } from './fields.js'

/** What clients may do over HTTP/2, and the sending of clients to https. */

const KIB = 1_024
const MIB = 1_024 * KIB

const limits = z.strictObject({
  maxConcurrentStreams: wholeNumber(1, 10_000)
    .prefault(128)
    .describe(
      'Requests at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). 1 to 10000, default 128. Higher lets one client hold more memory; lower makes busy clients wait.',
    ),
  initialWindow: size(KIB, 16 * MIB)
    .prefault('64KiB')
    .describe(
      'Body bytes a request may send ahead of its target (SETTINGS_INITIAL_WINDOW_SIZE). Size, 1KiB to 16MiB, default 64KiB. Higher speeds up uploads from far away and costs memory for each; lower slows them.',
    ),
  connectionWindow: size(64 * KIB, 64 * MIB)
    .prefault('1MiB')
    .describe(
      'The same for all requests of a connection together. Size, 64KiB to 64MiB, default 1MiB. Higher costs memory for hostile clients; lower lets uploads hold each other up.',
    ),
  maxFrameSize: size(16 * KIB, MIB)
    .prefault('16KiB')
    .describe(
      'Largest frame a client may send (SETTINGS_MAX_FRAME_SIZE). Size, 16KiB to 1MiB, default 16KiB. Higher costs memory for frames that come in pieces; lower is not allowed by the protocol.',
    ),
  headerTableSize: size(0, 64 * KIB)
    .prefault('4KiB')
    .describe(
      'Memory for headers that repeat (SETTINGS_HEADER_TABLE_SIZE). Size, 0B to 64KiB, default 4KiB. Higher saves bytes and costs memory for each connection; lower does the opposite.',
    ),
  maxContinuations: wholeNumber(0, 1_000)
    .prefault(8)
    .describe(
      'CONTINUATION frames that one request’s headers may take. 0 to 1000, default 8. Higher bears odd clients and costs CPU on hostile ones; lower refuses large headers in small frames.',
    ),
  maxSettings: wholeNumber(1, 1_000)
    .prefault(32)
    .describe(
      'Entries of one SETTINGS frame. 1 to 1000, default 32. Higher costs CPU on hostile clients; lower may refuse odd ones.',
    ),
  maxOutboundAck: wholeNumber(1, 100_000)
    .prefault(1_000)
    .describe(
      'Answers to PING and SETTINGS that a client may leave unread. 1 to 100000, default 1000. Higher costs memory for hostile clients; lower may cut slow readers.',
    ),
  streamResetBurst: wholeNumber(1, 1_000_000)
    .prefault(1_000)
    .describe(
      'Requests that a client may cancel at once (rapid reset), before streamResetRate holds. 1 to 1000000, default 1000. Higher lets hostile clients cost more CPU; lower cuts pages that are left early.',
    ),
  streamResetRate: perSecond(1, 1_000_000)
    .prefault('33/s')
    .describe(
      'Requests that a client may cancel a second in the long run. Rate, 1/s to 1000000/s, default 33/s. Higher lets hostile clients cost more CPU; lower cuts clients that cancel much.',
    ),
  controlFrameBurst: wholeNumber(1, 1_000_000)
    .prefault(10_000)
    .describe(
      'PING, SETTINGS, PRIORITY, empty DATA and unknown frames at once, before controlFrameRate holds. 1 to 1000000, default 10000. Higher lets floods cost more CPU; lower cuts odd clients.',
    ),
  controlFrameRate: perSecond(1, 1_000_000)
    .prefault('1000/s')
    .describe(
      'The same a second in the long run. Rate, 1/s to 1000000/s, default 1000/s. Higher lets floods cost more CPU; lower cuts gRPC clients, which ping while they measure the line.',
    ),
})

export const http2 = z
  .union([flag(), limits], mustBe('on, off, or a map of limits'))
  .optional()
  .describe(
    'HTTP/2 from clients: on, off, or a map of its limits, which means on. On https listeners by ALPN, default on; on http ones by prior knowledge (h2c), default off.',
  )

/** Every limit at its default. */
export const HTTP2_DEFAULTS = limits.parse({})
export type Http2File = z.output<typeof limits>

export const redirectToHttps = z
  .union(
    [
      flag(),
      z.strictObject({
        port: wholeNumber(1, 65_535)
          .prefault(443)
          .describe('Port of the https listener, as clients see it. Default 443.'),
        status: z
          .union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)], mustBe('301, 302, 307 or 308'))
          .optional()
          .describe(
            'Status code of the redirect: 301, 302, 307 or 308. Default: 301 for GET and HEAD, 308 for the rest, which keeps method and body.',
          ),
      }),
    ],
    mustBe('true, false, or a map of port and status'),
  )
  .prefault(false)
  .describe(
    'Answer every request of an http listener with a redirect to the same URL over https; a targetGroup is not needed then. Default false; true, or { port: 443 }.',
  )
