import { z } from 'zod'
import {
  cidr,
  duration,
  flag,
  hashOn,
  listenAddress,
  mustBe,
  name,
  off,
  show,
  targetAddress,
  wholeNumber,
} from './fields.js'
import { admin } from './schema-admin.js'
import { cluster, vips } from './schema-cluster.js'
import { healthCheck, outlierDetection, panicPercent } from './schema-health.js'
import { groupHttp2, http2, redirectToHttps } from './schema-http2.js'
import { keepAlive } from './schema-keep-alive.js'
import { plugins } from './schema-plugins.js'
import { listenerLimits, protection } from './schema-protection.js'
import { maxConnectionsPerTarget, queue } from './schema-queue.js'
import { ruleSets, rules } from './schema-rules.js'
import { stickiness } from './schema-stickiness.js'
import { groupTls, listenerTls } from './schema-tls.js'
import { tolerate } from './schema-tolerate.js'
import { upgradeDrain, upgradeTimeout } from './schema-upgrade.js'
import { upgrades } from './schema-upgrades.js'

/**
 * The configuration file's form. Every description gives the unit, the default, and what raising and lowering the value
 * costs: it is what an editor shows. Values of parts that this version does not have are listed in `later.ts`.
 */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const MAX_SESSION_CAPACITY = 2 ** 24
const DEFAULT_SESSION_CAPACITY = 2 ** 17

const log = z
  .strictObject({
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .prefault('info')
      .describe(
        'Least severe message that is logged. Default info. Lower (debug, trace) shows more and costs CPU and disk under load; higher hides what happened when you look back.',
      ),
    format: z
      .enum(['json', 'pretty'])
      .prefault('json')
      .describe(
        'How log lines look. Default json, for log collectors; pretty is for people and costs more CPU a line.',
      ),
    audit: z
      .string()
      .min(1, mustBe('off, stderr, stdout or a file’s path'))
      .prefault('stderr')
      .describe(
        'Where the audit log goes, a JSON line for each change of the running process and each refusal: stderr, with the rest of the log and whatever log.level says, stdout, the path of a file, or off. Default stderr. GET /api/v1/audit has the last ones in any case.',
      ),
    access: z
      .string()
      .min(1, mustBe('off, stdout or a file’s path'))
      .prefault('stdout')
      .describe(
        'Where the access log goes: off, stdout, or the path of a file. Default stdout. One JSON line a request or TCP connection; off saves the CPU and disk and loses the record of who asked what.',
      ),
  })
  .prefault({})
  .describe('What is logged, how and where.')

const listener = z
  .strictObject({
    name: name().describe('Name of the listener, unique: 1 to 64 of A–Z a–z 0–9 _ . - ; appears in logs and metrics.'),
    protocol: z
      .enum(['tcp', 'tls', 'http', 'https'])
      .describe(
        'http reads requests (HTTP/1.0, HTTP/1.1, HTTP/2, WebSocket) and balances each; tcp passes bytes through and balances connections, at less CPU and without anything that needs the request. https and tls are the same over TLS, which ends here.',
      ),
    listen: z
      .union(
        [listenAddress().transform((address) => [address]), z.array(listenAddress()).min(1)],
        mustBe('an address, like 0.0.0.0:8080, or a list of them'),
      )
      .describe(
        'Where to listen: address:port, "[IPv6]:port", or a list. 0.0.0.0 is all of IPv4, "[::]" all of IPv6. Port 0 takes any free port and prints it.',
      ),
    targetGroup: name()
      .optional()
      .describe(
        'The target group that serves what no rule does: an http, https, h2 or h2c group for http and https, a tcp or tls group for tcp and tls. Required except with redirectToHttps, and with rules, beyond which requests are answered 404 without it.',
      ),
    rules,
    tls: listenerTls,
    http2,
    redirectToHttps,
    keepAlive: keepAlive('a client'),
    idleTimeout: z
      .union([off(), duration(SECOND, 8_760 * HOUR)], mustBe('off or a duration from 1s to 8760h'))
      .optional()
      .describe(
        'How long nothing may be sent either way before both sides are closed. Duration, 1s to 24h, on tcp and tls listeners to 8760h, or off. Default 60s for http and https, 1800s for tcp and tls. Higher keeps slow or silent clients and costs memory for dead ones; lower frees memory and cuts long polls and quiet connections.',
      ),
    halfClose: z
      .enum(['cancel', 'keep'])
      .default('cancel')
      .describe(
        'What the end of a client’s sending means while its answer is under way, on http and https listeners. cancel (default): a client whose answer stands still for a second or two has left, and its request is cancelled; keep: it waits for the rest.',
      ),
    upgrades,
    websocketIdleTimeout: duration(SECOND, 24 * HOUR)
      .optional()
      .describe(
        'The same for WebSockets and other tunnels (see upgrades) on an http or https listener. Duration, 1s to 24h. Default: the listener’s idleTimeout. Higher keeps sockets whose ends send no pings, and dead ones with them; lower cuts quiet ones.',
      ),
    acceptProxyProtocol: z
      .array(cidr())
      .prefault([])
      .describe(
        'CIDRs whose connections must begin with a PROXY protocol header (v1 or v2), which then says who the client is. Default none. Too wide lets clients claim any address; too narrow refuses the balancer in front.',
      ),
    trustForwardedFrom: z
      .array(cidr())
      .prefault([])
      .describe(
        'CIDRs whose X-Forwarded-For is kept and appended to, and says who the client is, on an http or https listener; from anyone else it is replaced. Default none. Too wide lets clients forge their address; too narrow hides clients behind the proxy in front.',
      ),
    explainFrom: z
      .array(cidr())
      .prefault([])
      .describe(
        'CIDRs whose requests with the field x-castor-explain: 1 are told in their answers, in the field of the same name, how they were routed, on an http or https listener. Default none. Too wide: names and addresses of targets become known.',
      ),
    limits: listenerLimits,
  })
  .describe('One place where clients connect.')

export const target = z
  .strictObject(
    {
      address: targetAddress().describe('Where the target is: address:port, name:port or "[IPv6]:port".'),
      id: name().optional().describe('Name of the target, unique in its group. Default: the address as written.'),
      weight: wholeNumber(0, 100)
        .prefault(10)
        .describe(
          'Share of new traffic beside the other targets. 0 to 100, default 10; 0 takes no new traffic. Twice the weight is twice the traffic.',
        ),
    },
    {
      // Not what the value is, but what it should be: most write the address alone once.
      error: ({ code, input }) =>
        code === 'invalid_type' && typeof input === 'string'
          ? `must be a map, not ${show(input)}; write { address: ${/^[\w.-]+:\d+$/.test(input) ? input : '10.0.0.11:9001'} }`
          : undefined,
    },
  )
  .describe('One server.')

const forwarded = z
  .strictObject({
    proto: flag().prefault(true).describe('Send X-Forwarded-Proto. Default true.'),
    port: flag().prefault(true).describe('Send X-Forwarded-Port, the port that the client dialled. Default true.'),
    host: flag().prefault(true).describe('Send X-Forwarded-Host. Default true.'),
    vip: flag().prefault(false).describe('Send X-Forwarded-LBIP, the address that the client dialled. Default false.'),
    clientPort: flag().prefault(false).describe('Send X-Forwarded-Client-Port. Default false.'),
    rfc7239: flag().prefault(false).describe('Send Forwarded as in RFC 7239. Default false.'),
    via: flag()
      .prefault(false)
      .describe('Send Via. Default false, because nginx targets stop compressing when they see it.'),
  })
  .describe(
    'Which headers about the client go to HTTP targets; X-Forwarded-For always does. More headers cost bytes a request; fewer leave the application guessing.',
  )

const retries = z
  .union(
    [
      off(),
      z.strictObject({
        attempts: wholeNumber(0, 10)
          .prefault(1)
          .describe(
            'Further tries after the first. 0 to 10, default 1. Higher hides more broken targets and keeps a client waiting longer; 0 shows every failure.',
          ),
        on: z
          .array(z.enum(['connect-failure', 'reset-before-response', 'response-timeout']))
          .prefault(['connect-failure', 'reset-before-response'])
          .describe(
            'After what a request is tried again; one that may have been acted on only where it is idempotent. Default [connect-failure, reset-before-response]; with response-timeout a client may wait (attempts + 1) times as long.',
          ),
        budgetPercent: wholeNumber(0, 100)
          .prefault(20)
          .describe(
            'Retries allowed in percent of recent requests. 0 to 100, default 20. Higher multiplies the load on targets that are failing; lower gives up sooner.',
          ),
      }),
    ],
    mustBe('off, or a map of attempts, on and budgetPercent'),
  )
  .optional()
  .describe(
    'Trying again on another target. Default { attempts: 1, on: [connect-failure, reset-before-response], budgetPercent: 20 }; or off.',
  )

const timeouts = z
  .strictObject({
    connect: duration(10, 10 * MINUTE)
      .prefault('5s')
      .describe(
        'How long a target may take to accept a connection. Duration, 10ms to 10m, default 5s. Higher waits longer on dead hosts; lower fails targets that are merely busy or far away.',
      ),
    response: duration(10, 24 * HOUR)
      .optional()
      .describe(
        'How long an HTTP target may take from the end of the request, or from its head while its client waits for 100 Continue, to its response head; then the client gets 504. Duration, 10ms to 24h, default 60s. Higher lets slow answers through and hung targets hold connections; lower cuts slow answers.',
      ),
  })
  .prefault({})
  .describe('Patience with targets.')

const targetGroup = z
  .strictObject({
    name: name().describe('Name of the group, unique: 1 to 64 of A–Z a–z 0–9 _ . -'),
    protocol: z
      .enum(['tcp', 'tls', 'http', 'https', 'h2', 'h2c'])
      .describe(
        'What the targets speak: http and https (HTTP/1.1), h2 and h2c (HTTP/2 with and without TLS, for gRPC), tcp and tls (bytes). https, h2 and tls are encrypted to the target.',
      ),
    tls: groupTls,
    http2: groupHttp2,
    algorithm: z
      .enum(['round-robin', 'least-connections', 'source-ip', 'random-two', 'peak-ewma', 'maglev'])
      .prefault('round-robin')
      .describe(
        'How a target is chosen, all by weight. round-robin (default): in turn, exactly. least-connections: the least busy, for requests of uneven length. source-ip: the same client the same target. random-two: the less busy of two drawn at random. peak-ewma: the one that answers fastest for its load. maglev: by hash of what hashOn names, moving few when targets change.',
      ),
    hashOn: hashOn()
      .prefault('source')
      .describe('What maglev hashes: source (the client’s address, default), path, header:NAME or cookie:NAME.'),
    targets: z.array(target).describe('The servers of the group.'),
    keepAlive: keepAlive('a target'),
    proxyProtocol: z
      .union([off(), z.enum(['v1', 'v2'])], mustBe('off, v1 or v2'))
      .prefault('off')
      .describe(
        'Send a PROXY protocol header to the targets of a tcp or tls group, which must expect it, before TLS. off (default), v1 (text) or v2 (binary, with a unique id).',
      ),
    forwarded: forwarded.optional(),
    tolerate,
    retries,
    timeouts,
    failOpen: flag()
      .prefault(false)
      .describe(
        'With every target down: true tries them all, false (default) answers 503. True helps where checks are wrong and hurts where they are right.',
      ),
    healthCheck,
    outlierDetection,
    panicPercent,
    slowStart: duration(0, HOUR)
      .prefault('0s')
      .describe(
        'How long the weight of a target that comes into service (new, recovered, or back after an ejection or maintenance) rises from a tenth to its full. Duration, 0s to 1h, default 0s: at once. Higher spares cold targets and loads the others; lower does the opposite.',
      ),
    draining: duration(0, HOUR)
      .prefault('300s')
      .describe(
        'How long a draining target keeps the connections and sticky clients it has. Duration, 0s to 1h, default 300s. Higher is kinder to clients; lower frees the target sooner.',
      ),
    stickiness,
    maxConnectionsPerTarget,
    queue,
  })
  .describe('Servers that do the same work.')

const sessions = z
  .strictObject({
    capacity: wholeNumber(64, MAX_SESSION_CAPACITY)
      .prefault(DEFAULT_SESSION_CAPACITY)
      .describe(
        'Learned sessions (source-ip, app-cookie) held at once, over all groups; rounded up to the next multiple of 12. 64 to 16777216, default 131072. A session takes 66.7 bytes: a million 67 MB, taken from the system as sessions come. Higher costs that memory and longer rounds of counting; lower makes clients lose their target early, since in a full table one that was never used again goes, or else the one nearest its end (castor_session_evictions_total). Holds until the next start.',
      ),
  })
  .prefault({})
  .describe('The table of learned sessions.')

const reserve = z
  .strictObject({
    targets: wholeNumber(0, 100_000)
      .prefault(256)
      .describe(
        'Targets, beside those of the file, that shared memory has room for from the start. Where more are added it grows, each time to twice its size at least, so this is no limit. 0 to 100000, default 256. A place takes 1292 bytes and 1036 more a worker, from the system only once it is used. Higher costs nothing until then; lower makes memory grow sooner, after which looking up a target costs a few nanoseconds more. Holds until the next start.',
      ),
  })
  .prefault({})
  .describe('Room kept for what comes while the process runs.')

export const fileSchema = z
  .strictObject({
    node: name().optional().describe('Name of this host in logs, metrics and status. Default: the host name.'),
    workers: z
      .union([z.literal('auto'), wholeNumber(1, 256)], mustBe('auto or a whole number from 1 to 256'))
      .prefault('auto')
      .describe(
        'Proxy threads. auto or 1 to 256. Default auto: the cores this process may use, CPU quota respected. More than cores costs switching and memory; fewer leaves cores idle.',
      ),
    log,
    admin,
    drainDelay: duration(0, HOUR)
      .prefault('0s')
      .describe(
        'How long a stop waits, with /readyz at 503 and everything else as before, until the listeners close: so long as the balancer or DNS in front takes to send clients elsewhere. Duration, 0s to 1h, default 0s. Higher delays every stop; lower refuses clients that are still sent here. A second signal ends the wait.',
      ),
    shutdownTimeout: duration(0, 24 * HOUR)
      .prefault('30s')
      .describe(
        'How long a stop waits for requests, WebSockets and TCP connections to finish. Duration, 0ms to 24h, default 30s. Higher delays deployments by whoever stays connected; lower cuts them off.',
      ),
    reload: z
      .enum(['manual', 'onChange'])
      .prefault('manual')
      .describe(
        'When a changed configuration file takes effect. manual (default): on castor reload, SIGHUP or POST /api/v1/reload; onChange: also by itself, a quarter of a second after the last change of the file, which a half-finished edit is too.',
      ),
    upgradeTimeout,
    upgradeDrain,
    stateDir: z
      .string()
      .prefault('')
      .describe(
        'Directory for what must outlive the process, such as the secret of sticky cookies; made with mode 700. Default: systemd’s $STATE_DIRECTORY, else castor in the user’s state directory ($XDG_STATE_HOME or ~/.local/state).',
      ),
    secret: z
      .string()
      .refine((text) => text === '' || text.length >= 16, mustBe('16 characters or more, or left out'))
      .prefault('')
      .describe(
        'Keys sticky cookies on a host without a cluster; best from the environment. Default: a random one, made at the first start and kept in stateDir. Another one makes every sticky cookie worthless once.',
      ),
    watchdog: z
      .union([off(), duration(SECOND, 10 * MINUTE)], mustBe('off or a duration, like 10s'))
      .prefault('10s')
      .describe(
        'How long a thread may go without turning its loop before it is ended and replaced, its connections reset; one that cannot be ended ends the process, so that whoever supervises it starts it anew. off or duration, 1s to 10m, default 10s. Higher leaves the clients of a stuck thread without an answer for longer; lower may take a host that stalls, for want of processor time or memory, for a thread that is stuck.',
      ),
    plugins,
    listeners: z
      .array(listener)
      .min(1, { error: 'must hold at least one listener' })
      .describe('Where clients connect, and which group serves them.'),
    targetGroups: z
      .array(targetGroup)
      .min(1, { error: 'must hold at least one target group' })
      .describe('Where the traffic goes: groups of servers that do the same work.'),
    ruleSets,
    protection,
    cluster: cluster.optional(),
    vips,
    sessions,
    reserve,
  })
  .describe('Configuration of the Castor load balancer.')

/** The file after reading: units resolved, constant defaults filled in, names as in the file. */
export type ConfigFile = z.output<typeof fileSchema>
export type ListenerFile = ConfigFile['listeners'][number]
export type TargetFile = z.output<typeof target>
export type TargetGroupFile = ConfigFile['targetGroups'][number]
