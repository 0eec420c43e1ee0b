import { z } from 'zod'
import { duration, flag, mustBe, size, wholeNumber } from './fields.js'

/** What clients may do over HTTP/2, and the sending of clients to https. */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
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
  headerTableSize: size(0, 64 * KIB)
    .prefault('4KiB')
    .describe(
      'Memory for headers that repeat (SETTINGS_HEADER_TABLE_SIZE). Size, 0B to 64KiB, default 4KiB. Higher saves bytes and costs memory for each connection; lower does the opposite.',
    ),
  rateWindow: duration(SECOND, 10 * MINUTE)
    .prefault('10s')
    .describe(
      'The time that the following counts are for. Duration, 1s to 10m, default 10s. Higher lets bursts through and floods last longer; lower cuts bursts.',
    ),
  maxResets: wholeNumber(1, 1_000_000)
    .prefault(500)
    .describe(
      'Requests that a source may cancel, or spoil, within rateWindow and a second of opening them, beyond those that were answered in full (rapid reset). 1 to 1000000, default 500. Higher lets hostile clients cost more CPU; lower cuts pages that are left early.',
    ),
  maxRefusals: wholeNumber(1, 1_000_000)
    .prefault(1_000)
    .describe(
      'Requests beyond maxConcurrentStreams within rateWindow. 1 to 1000000, default 1000. Higher lets hostile clients cost more CPU; lower cuts hasty ones.',
    ),
  maxSettings: wholeNumber(1, 1_000_000)
    .prefault(50)
    .describe(
      'SETTINGS frames within rateWindow. 1 to 1000000, default 50. Higher lets floods cost more CPU; lower may cut odd clients.',
    ),
  maxPings: wholeNumber(1, 1_000_000)
    .prefault(50_000)
    .describe(
      'PING frames within rateWindow. 1 to 1000000, default 50000. Higher lets floods cost more CPU; lower cuts gRPC clients, which ping at every round trip while they measure the line.',
    ),
  maxPriorities: wholeNumber(1, 1_000_000)
    .prefault(2_000)
    .describe(
      'PRIORITY frames within rateWindow. 1 to 1000000, default 2000. Higher lets floods cost more CPU; lower may cut old browsers.',
    ),
  maxUselessFrames: wholeNumber(1, 1_000_000)
    .prefault(500)
    .describe(
      'Frames within rateWindow that carry nothing or belong to nothing. 1 to 1000000, default 500. Higher lets floods cost more CPU; lower may cut odd clients.',
    ),
  maxWindowUpdates: wholeNumber(1, 1_000_000)
    .prefault(5_000)
    .describe(
      'WINDOW_UPDATE frames within rateWindow, beyond four for each DATA frame sent. 1 to 1000000, default 5000. Higher lets floods cost more CPU; lower may cut odd clients.',
    ),
  maxTinyFrames: wholeNumber(1, 1_000_000)
    .prefault(1_000)
    .describe(
      'DATA frames within rateWindow that the client’s windows make smaller than 256 bytes. 1 to 1000000, default 1000. Higher lets hostile clients cost more CPU; lower may cut starved ones.',
    ),
  maxContinuations: wholeNumber(0, 1_000)
    .prefault(16)
    .describe(
      'CONTINUATION frames that one request’s headers may take. 0 to 1000, default 16. Higher costs CPU on hostile clients; lower refuses large headers in small frames.',
    ),
  maxOutboundQueue: size(64 * KIB, 64 * MIB)
    .prefault('1MiB')
    .describe(
      'What beside bodies may wait for a client that does not read. Size, 64KiB to 64MiB, default 1MiB. Higher costs memory for hostile clients; lower may cut slow readers.',
    ),
  stallTimeout: duration(SECOND, HOUR)
    .prefault('60s')
    .describe(
      'How long a client may leave a response unread, by its windows or altogether. Duration, 1s to 1h, default 60s. Higher lets stalled clients hold memory; lower cuts paused downloads.',
    ),
  settingsTimeout: duration(100, 10 * MINUTE)
    .prefault('10s')
    .describe(
      'How long a client may take to begin HTTP/2 and to answer SETTINGS. Duration, 100ms to 10m, default 10s. Higher lets silent clients hold connections; lower refuses clients on bad links.',
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

const targetLimits = z.strictObject({
  rateWindow: duration(SECOND, 10 * MINUTE)
    .prefault('10s')
    .describe(
      'The time that the following counts are for. Duration, 1s to 10m, default 10s. Higher lets bursts through; lower cuts bursts.',
    ),
  maxResets: wholeNumber(1, 10_000_000)
    .prefault(50_000)
    .describe(
      'Requests that a target may reset within rateWindow, beyond those that it answered in full. 1 to 10000000, default 50000. Higher lets broken targets cost more CPU; lower loses the other requests of a busy connection.',
    ),
  maxSettings: wholeNumber(1, 10_000_000)
    .prefault(1_000)
    .describe(
      'SETTINGS frames within rateWindow. 1 to 10000000, default 1000. Higher lets broken targets cost more CPU; lower cuts those that tune their windows.',
    ),
  maxPings: wholeNumber(1, 10_000_000)
    .prefault(50_000)
    .describe(
      'PING frames within rateWindow, beyond one for each DATA frame either way. 1 to 10000000, default 50000. Higher lets broken targets cost more CPU; lower cuts gRPC servers, which ping at every round trip while they measure the line.',
    ),
  maxUselessFrames: wholeNumber(1, 10_000_000)
    .prefault(20_000)
    .describe(
      'Frames within rateWindow that carry nothing or belong to nothing. 1 to 10000000, default 20000. Higher lets broken targets cost more CPU; lower cuts those whose answers are cancelled often.',
    ),
  maxWindowUpdates: wholeNumber(1, 10_000_000)
    .prefault(100_000)
    .describe(
      'WINDOW_UPDATE frames within rateWindow, beyond four for each DATA frame sent. 1 to 10000000, default 100000. Higher lets broken targets cost more CPU; lower cuts those that give back every byte by itself.',
    ),
  maxTinyFrames: wholeNumber(1, 10_000_000)
    .prefault(20_000)
    .describe(
      'DATA frames within rateWindow that the target’s windows make smaller than 256 bytes, beyond those of some size. 1 to 10000000, default 20000. Higher costs CPU; lower cuts slow readers.',
    ),
  pingAfter: duration(SECOND, HOUR)
    .prefault('10s')
    .describe(
      'How long a connection may say nothing while requests are under way on it, before it is asked by PING whether it is still there. Duration, 1s to 1h, default 10s. Higher finds dead connections later; lower costs frames, which some servers take for a flood.',
    ),
  pingTimeout: duration(100, 10 * MINUTE)
    .prefault('5s')
    .describe(
      'How long the answer to that PING may take, or to the one after a response time-out, before the connection is closed. Duration, 100ms to 10m, default 5s. Higher keeps dead connections; lower closes those of busy targets.',
    ),
})

export const groupHttp2 = targetLimits
  .optional()
  .describe(
    'h2 and h2c groups: what their targets may do, beyond which their connection is closed, and when one is taken for dead.',
  )

/** Every limit towards targets at its default. */
export const TARGET_HTTP2_DEFAULTS = targetLimits.parse({})

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
