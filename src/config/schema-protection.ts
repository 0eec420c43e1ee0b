import { z } from 'zod'
import { byteRate, duration, mustBe, size, wholeNumber } from './fields.js'

/** Limits that hold for every client. */

const HOUR = 3_600_000
const KIB = 1_024
const MIB = 1_024 * KIB

export const unlimited = () =>
  z.literal('unlimited').optional().describe('Only "unlimited" in this version, which is what leaving it out means.')

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
    connectionsPerSource: unlimited(),
    newConnectionsPerSource: unlimited(),
    requestsPerSource: unlimited(),
  })
  .prefault({})
  .describe('Limits that keep one client from spoiling it for the others.')
