import { z } from 'zod'

/** What `GET /api/v1/status` answers, as far as the command shows it; more is let through, less is not fatal. */

const amount = z.number().catch(0)

const target = z.object({
  id: z.string(),
  address: z.string().catch(''),
  weight: amount,
  state: z.string().catch('active'),
  health: z.string().catch('unchecked'),
  reason: z.string().nullish().catch(null),
  leaves: z.string().nullish().catch(null),
  connections: amount,
  requests: amount,
  latency: z.object({ p50: z.number().nullish(), p99: z.number().nullish() }).nullish().catch(null),
})

const tls = z.object({
  handshakes: amount,
  resumed: amount,
  failures: z.record(z.string(), amount).catch({}),
  certificates: z
    .array(
      z.object({
        names: z.array(z.string()).catch([]),
        keyType: z.string().catch(''),
        issuer: z.string().catch(''),
        expires: z.string().catch(''),
        daysLeft: amount,
      }),
    )
    .catch([]),
})

const statusReport = z.object({
  node: z.string(),
  version: z.string().catch('?'),
  uptimeMs: amount,
  state: z.string().catch('running'),
  health: z.string(),
  problems: z.array(z.string()).catch([]),
  workers: z
    .array(
      z.object({
        id: z.number(),
        state: z.string().catch('running'),
        connections: amount,
        restarts: amount,
        stuck: amount.catch(0),
      }),
    )
    .catch([]),
  listeners: z
    .array(
      z.object({
        name: z.string(),
        protocol: z.string().catch('?'),
        addresses: z.array(z.string()).catch([]),
        targetGroup: z.string().catch('?'),
        connections: amount,
        requests: amount,
        receivedBytes: amount,
        sentBytes: amount,
        errors: z.object({ client: amount, server: amount }).catch({ client: 0, server: 0 }),
        tls: tls.nullish().catch(null),
      }),
    )
    .catch([]),
  targetGroups: z
    .array(
      z.object({
        name: z.string(),
        protocol: z.string().catch('?'),
        algorithm: z.string().catch('?'),
        queue: z.object({ waiting: amount, size: amount }).catch({ waiting: 0, size: 0 }),
        sessions: z.number().nullish().catch(null),
        panic: z.boolean().catch(false),
        targets: z.array(target).catch([]),
      }),
    )
    .catch([]),
  configuration: z
    .object({
      version: z.number(),
      loaded: z.string(),
      file: z.string().nullish(),
      lastReload: z
        .object({ time: z.string(), by: z.string(), result: z.string(), reasons: z.array(z.string()).catch([]) })
        .nullish(),
    })
    .optional()
    .catch(undefined),
  cluster: z
    .object({
      name: z.string(),
      redis: z.object({ up: z.boolean(), reason: z.string().nullish().catch(null) }),
      peers: z.array(
        z.object({
          node: z.string(),
          state: z.string(),
          version: z.string().catch('?'),
          lastSeen: z.string(),
          lagMs: amount,
        }),
      ),
    })
    .optional()
    .catch(undefined),
  sessions: z.object({ live: amount, capacity: amount, evictions: amount }).nullish().catch(null),
})

export type StatusReport = z.output<typeof statusReport>

/** The report, or undefined when the answer is not one. */
export function readStatusReport(answer: unknown): StatusReport | undefined {
  const result = statusReport.safeParse(answer)
  return result.success ? result.data : undefined
}
