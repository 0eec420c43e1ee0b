import { z } from 'zod'
import { FAILURE_KINDS } from '../core/failure-kinds.js'
import { duration, flag, mustBe, off, statusCodes, switchedOffBy, wholeNumber } from './fields.js'

/** How a group's faulty targets are found: by checks, and by what traffic meets. */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

export const healthCheck = z
  .strictObject(
    {
      protocol: z
        .enum(['tcp', 'http', 'https', 'h2c', 'h2', 'grpc', 'off'])
        .prefault('tcp')
        .describe(
          'How targets are checked. tcp (default): whether they accept a connection; http or https: what they answer to a GET; h2c or h2: the same by HTTP/2, without and with TLS; grpc: what grpc.health.v1.Health/Check says, over TLS where the group speaks it; off: not at all. In h2c and h2 groups http and https checks of the target’s own port speak HTTP/2, unless httpVersion is written. A check that asks more finds more faults and costs the target more.',
        ),
      path: z
        .string()
        .regex(/^\/[\x21-\x7e]*$/, mustBe('a path, like /healthz'))
        .prefault('/')
        .describe('What http, https, h2c and h2 checks ask for. Default /.'),
      host: z
        .string()
        .regex(/^[A-Za-z0-9.:_[\]-]*$/, mustBe('a host name'))
        .prefault('')
        .describe(
          'Host field (:authority) of http, h2 and grpc checks, and the server name of those over TLS. Default: the target’s own address.',
        ),
      port: wholeNumber(0, 65_535).prefault(0).describe('Port that is checked. Default 0: the target’s own.'),
      interval: duration(100, HOUR)
        .prefault('5s')
        .describe(
          'From one check of a target to its next. Duration, 100ms to 1h, default 5s. Higher finds faults later; lower costs targets and this host more.',
        ),
      timeout: duration(50, 5 * MINUTE)
        .prefault('3s')
        .describe(
          'How long a check may take. Duration, 50ms to 5m, default 3s. Higher finds hung targets later; lower takes busy ones for dead.',
        ),
      healthyThreshold: wholeNumber(1, 100)
        .prefault(3)
        .describe(
          'Passed checks in a row after which a target is used again. 1 to 100, default 3. Higher returns later and surer.',
        ),
      unhealthyThreshold: wholeNumber(1, 100)
        .prefault(3)
        .describe(
          'Failed checks in a row after which a target is left out. 1 to 100, default 3. Higher reacts later; lower to every hiccup.',
        ),
      codes: statusCodes()
        .prefault('200-399')
        .describe('Status codes that count as well: values and ranges, like 200-299,304. Default 200-399.'),
      httpVersion: z
        .enum(['1.0', '1.1'])
        .optional()
        .describe('HTTP version that http and https checks speak. "1.0" or "1.1", default "1.1".'),
      service: z
        .string()
        .regex(/^[\x21-\x7e]{0,200}$/, mustBe('the name of a gRPC service, like shop.v1.Cart'))
        .prefault('')
        .describe('Service that grpc checks ask about. Default: the server as a whole.'),
      verify: flag()
        .prefault(false)
        .describe(
          'https, h2, and grpc over TLS: whether a certificate that does not verify fails the check; trusted is tls.ca of the group, else what this host trusts. Default false.',
        ),
      proxyProtocol: z
        .union([off(), z.enum(['v1', 'v2'])], mustBe('off, v1 or v2'))
        .optional()
        .describe(
          'PROXY protocol header that checks begin with, which names no client: off, v1 or v2. Default: as the group’s proxyProtocol, and off where port names another port. A target that expects the header takes checks without it for broken clients.',
        ),
    },
    switchedOffBy('{ protocol: off }'),
  )
  .prefault({})
  .describe('Active checks of every target. Default { protocol: tcp }.')

/** What counts as a failure where `on` is left out: not every error of an application is a fault of its target. */
export const DEFAULT_FAILURES = ['connect', 'reset', 'timeout', 'gateway'] as const

export const outlierDetection = z
  .union(
    [
      off(),
      z.strictObject({
        on: z
          .array(z.enum(FAILURE_KINDS))
          .min(1, 'must have at least one kind of failure; to count none write outlierDetection: off')
          .prefault([...DEFAULT_FAILURES])
          .describe(
            'What counts as a failure: connect (refused, not accepted in time, no TLS), reset (closed before the answer was whole, or no answer at all), timeout (timeouts.response), gateway (502, 503, 504), 5xx (any other, too). Default [connect, reset, timeout, gateway]. With 5xx a fault of the application ejects targets.',
          ),
        failurePercent: wholeNumber(1, 100)
          .prefault(50)
          .describe(
            'Share of failures within the window from which on a target is ejected, in percent. 1 to 100, default 50. Higher bears more; lower ejects on bad luck.',
          ),
        minRequests: wholeNumber(1, 1_000_000)
          .prefault(20)
          .describe(
            'Requests within the window from which on their share of failures counts. 1 to 1000000, default 20. Higher needs more traffic to find a faulty target; lower ejects on bad luck.',
          ),
        window: duration(SECOND, HOUR)
          .prefault('10s')
          .describe(
            'How far back the share looks. Duration, 1s to 1h, default 10s. Higher finds faults later and remembers them longer; lower needs more traffic.',
          ),
        consecutiveFailures: wholeNumber(1, 10_000)
          .prefault(5)
          .describe(
            'Failed connects and resets in a row after which a target is ejected, whatever the share. 1 to 10000, default 5. Higher bears more; lower ejects on bad luck.',
          ),
        ejectFor: duration(100, HOUR)
          .prefault('30s')
          .describe(
            'How long the first ejection lasts, unless a check passes before; each further one in a row so much longer. Duration, 100ms to 1h, default 30s. Higher leaves recovered targets idle; lower lets clients meet broken ones again sooner.',
          ),
        maxEjectedPercent: wholeNumber(0, 100)
          .prefault(50)
          .describe(
            'Most of the targets that would take traffic that may be ejected at once, in percent; of two or more always one, and never the last. 0 to 100, default 50. Higher may leave too few to bear the load.',
          ),
      }),
    ],
    mustBe(
      'off, or a map of on, failurePercent, minRequests, window, consecutiveFailures, ejectFor and maxEjectedPercent',
    ),
  )
  .optional()
  .describe(
    'Leaving out targets that fail real traffic, between two checks. Default { on: [connect, reset, timeout, gateway], failurePercent: 50, minRequests: 20, window: 10s, consecutiveFailures: 5, ejectFor: 30s, maxEjectedPercent: 50 }; or off.',
  )

export const panicPercent = wholeNumber(0, 100)
  .prefault(50)
  .describe(
    'With a smaller share of the group’s targets available than this, in percent, ejections are ignored: better a target that fails some than too few for the load. 0 to 100, default 50; 0 ignores them only where no target would be left. Higher ignores them sooner.',
  )
