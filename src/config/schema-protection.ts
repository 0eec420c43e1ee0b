import { z } from 'zod'
import { byteRate, duration, eventRate, limit, mustBe, size, sourceItem, wholeNumber } from './fields.js'

/** Limits that hold for every client. */

const HOUR = 3_600_000
const KIB = 1_024
const MIB = 1_024 * KIB

/** Of one listener. */
export const listenerLimits = z
  .strictObject({
    connections: limit(1, 10_000_000)
      .prefault('unlimited')
      .describe(
        'Connections that the listener may have open at once; more are reset. 1 to 10000000, or unlimited, the default. Higher leaves less room for other listeners; lower refuses clients.',
      ),
    requestsPerSecond: limit(1, 1_000_000)
      .prefault('unlimited')
      .describe(
        'Requests that the listener takes each second, as many at once; more get 429. 1 to 1000000, or unlimited, the default. Higher lets more through to the targets; lower refuses clients.',
      ),
    bodyBytes: z
      .union([z.literal('unlimited').transform(() => Number.POSITIVE_INFINITY), size(0, 1_024 ** 4)])
      .prefault('unlimited')
      .describe(
        'Largest body of a request; a larger one gets 413, or, where that shows only on the way, is cut. 0B to 1024GiB, or unlimited, the default. Higher lets clients send more to the targets; lower refuses uploads.',
      ),
  })
  .prefault({})
  .describe('Limits of the listener.')

export const protection = z
  .strictObject({
    headerTimeout: duration(10, HOUR)
      .prefault('10s')
      .describe(
        'How long a client may take to send a whole request head; then 408. Duration, 10ms to 1h, default 10s. Higher lets slow attackers hold connections; lower refuses clients on bad links.',
      ),
    firstByteTimeout: duration(10, HOUR)
      .prefault('10s')
      .describe(
        'How long a client of an http or https listener may stay connected without sending anything, counted anew once its TLS handshake is done; then it is closed without a word. Duration, 10ms to 1h, default 10s. Higher keeps connections that browsers open in advance, and those of attackers; lower closes both sooner.',
      ),
    bodyMinRate: byteRate(0, 1_024 * MIB)
      .prefault('500B/s')
      .describe(
        'Least speed of the request bodies on a connection; bytes sent early pay for time later. Bytes a second, 0B/s (no demand) to 1GiB/s, default 500B/s. Higher cuts clients on bad links; lower lets slow attackers hold connections.',
      ),
    maxHeaderBytes: size(KIB, 128 * KIB)
      .prefault('32KiB')
      .describe(
        'Longest request head, then 431, and longest response head, then 502. Size, 1KiB to 128KiB, default 32KiB. Higher costs memory for each connection that sends that much; lower refuses large cookies.',
      ),
    maxHeaders: wholeNumber(1, 10_000)
      .prefault(128)
      .describe(
        'Most header fields of a request, then 431, and of a response, then 502. 1 to 10000, default 128. Higher costs CPU on hostile requests; lower refuses unusual clients.',
      ),
    maxConnections: z
      .union([z.literal('auto'), wholeNumber(1, 10_000_000)], mustBe('auto or a whole number from 1 to 10000000'))
      .prefault('auto')
      .describe(
        'Client connections at once, over all listeners; more wait in the system’s queue until one ends. Default auto: from the open-file limit, two files a connection. At most three quarters of the descriptors, since connections to targets need some too. Higher leaves fewer for targets; lower keeps clients waiting early.',
      ),
    allow: z
      .array(sourceItem())
      .prefault(['127.0.0.0/8', '::1/128'])
      .describe(
        'Sources that no limit per source holds for: CIDRs, or file:PATH with one a line. Default the host itself. Too wide lets some take all connections.',
      ),
    deny: z
      .array(sourceItem())
      .prefault([])
      .describe(
        'Sources whose connections are reset as soon as they are accepted, before anything of them is read; allow does not except them. CIDRs, or file:PATH with one a line. Default none.',
      ),
    connectionsPerSource: limit(1, 10_000_000)
      .prefault(10_000)
      .describe(
        'Connections that one source may have open at once; more are reset. A source is an IPv4 address, or the /64 of an IPv6 one; behind a trusted proxy, the client that it names. 1 to 10000000, or unlimited; default 10000. Higher lets one source hold more; lower refuses many clients behind one address.',
      ),
    newConnectionsPerSource: eventRate(1, 100_000)
      .prefault('1000/s')
      .describe(
        'Connections that one source may open each second, as many at once; more are reset. 1/s to 100000/s, or unlimited; default 1000/s. Higher spends more on one source; lower refuses many clients behind one address.',
      ),
    handshakesPerSource: eventRate(1, 100_000)
      .prefault('100/s')
      .describe(
        'TLS handshakes that one source may begin each second, as many at once; beyond that its connections are reset before any cryptography. 1/s to 100000/s, or unlimited; default 100/s. Higher lets one source take more CPU; lower refuses many clients behind one address.',
      ),
    requestsPerSource: eventRate(1, 100_000)
      .prefault('unlimited')
      .describe(
        'Requests that one source may send each second, as many at once, over all listeners; more get 429. Behind a proxy in trustForwardedFrom, the client that it names counts. 1/s to 100000/s, or unlimited, the default. Higher lets one source take more of the targets; lower refuses many clients behind one address.',
      ),
  })
  .prefault({})
  .describe('Limits that keep one client from spoiling it for the others.')
