import { isIP, SocketAddress } from 'node:net'
import { z } from 'zod'
import type { RedisConfig, VipConfig } from '../core/config.js'
import { duration, flag, mustBe, name, show, targetAddress, wholeNumber } from './fields.js'
import { parseRedisUrl } from './redis-url.js'

const SECOND = 1_000
const SECRET_MIN = 16

const login = {
  username: z.string().prefault('').describe('User of Redis’s access control list. Default none: the default user.'),
  password: z.string().prefault('').describe('Password; best kept in the environment. Default none.'),
  tls: flag()
    .prefault(false)
    .describe('Speak TLS to Redis, verified against ca, or the system’s authorities. Default false.'),
  ca: z
    .string()
    .prefault('')
    .describe('File with the authorities that Redis’s certificate must come from, PEM. Default none: the system’s.'),
}

const nodes = () => z.array(targetAddress().transform(({ host, port }) => ({ host, port }))).min(1)

const redis = z
  .union(
    [
      z.string().transform((url, context): RedisConfig => {
        const parsed = parseRedisUrl(url)
        if (parsed.ok) return parsed.value
        // The URL may hold a password: it is not repeated.
        context.issues.push({ code: 'custom', message: parsed.problem, input: url })
        return z.NEVER
      }),
      z
        .strictObject({
          address: targetAddress()
            .transform(({ host, port }) => ({ host, port }))
            .describe('Where Redis is: address:port, name:port or "[IPv6]:port".'),
          database: wholeNumber(0, 65_535).prefault(0).describe('Number of the database. Default 0.'),
          ...login,
        })
        .transform((found): RedisConfig => ({ type: 'single', ...found })),
      z
        .strictObject({
          sentinels: nodes().describe('Addresses of the sentinels.'),
          name: z.string().min(1, mustBe('the name of the master')).describe('What the sentinels call the master.'),
          sentinelUsername: z
            .string()
            .prefault('')
            .describe('User of the sentinels’ own access control list. Default none: their default user.'),
          sentinelPassword: z.string().prefault('').describe('Password of the sentinels themselves. Default none.'),
          ...login,
        })
        .transform((found): RedisConfig => ({ type: 'sentinel', ...found })),
      z
        .strictObject({ nodes: nodes().describe('Addresses of some nodes of a Redis Cluster.'), ...login })
        .transform((found): RedisConfig => ({ type: 'cluster', ...found })),
    ],
    mustBe('a URL like redis://127.0.0.1:6379, or a map with address, with sentinels and name, or with nodes'),
  )
  .describe(
    'Where the hosts meet: a URL (redis:// or rediss://, with user and password in it), { address }, { sentinels, name }, or { nodes } of a Redis Cluster. Traffic never waits for it.',
  )

export const cluster = z
  .strictObject({
    name: name().describe('Name of the cluster: hosts with the same name, secret and Redis share what they know.'),
    redis,
    secret: z
      .string()
      .min(SECRET_MIN, {
        error: `must be at least ${SECRET_MIN} characters, the same on every host, and known to no one else`,
      })
      .describe(
        'Signs sticky cookies and seals what travels between the hosts; best kept in the environment. At least 16 characters, the same on every host.',
      ),
    heartbeat: duration(100, 60 * SECOND)
      .prefault('1s')
      .describe(
        'How often each host says that it lives; three missed make it count as silent. Duration, 100ms to 60s, default 1s. Higher costs fewer messages and notices a dead host later; lower does the opposite.',
      ),
    hosts: z
      .array(
        z
          .strictObject({
            node: name().describe('The host’s node name.'),
            address: z
              .string()
              .refine(
                (written) => isIP(written) !== 0 && !written.includes('%'),
                mustBe('an IP address, without a zone'),
              )
              .describe('The address by which the other hosts reach it.'),
          })
          .describe('One host of the cluster.'),
      )
      .prefault([])
      .describe(
        'All hosts of the cluster, this one included, for castor keepalived: who takes an address over, in this order. Default none: keepalived finds the others by multicast.',
      ),
  })
  .describe(
    'Other hosts that share sessions, operator state and news of health with this one. Default: this host alone.',
  )

const vip = z
  .strictObject({
    address: z
      .string()
      .transform((written, context): string => {
        const [address = '', bits = '', ...rest] = written.split('/')
        const family = isIP(address)
        const max = family === 6 ? 128 : 32
        const isPrefix = rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= max
        // As the system writes it: whether this host has the address is found by comparing the two.
        if (family === 4 && isPrefix) return `${address}/${Number(bits)}`
        if (family === 6 && isPrefix && !address.includes('%')) {
          return `${new SocketAddress({ address, family: 'ipv6' }).address}/${Number(bits)}`
        }
        const message = `${show(written)} is not an address with its prefix length, like 192.0.2.10/24`
        context.issues.push({ code: 'custom', message, input: written })
        return z.NEVER
      })
      .describe('The address that clients use, with the prefix length of its network.'),
    interface: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/,
        mustBe('the name of a network interface, like eth0: letters, digits, dots, dashes, underscores'),
      )
      .describe('The network interface that gets the address.'),
    prefer: name().describe('The node that has the address while all is well.'),
    routerId: wholeNumber(1, 255).describe('VRRP’s number for the address: 1 to 255, unique on its network.'),
    advertInterval: duration(100, 40 * SECOND)
      .prefault('1s')
      .describe(
        'How often the host that has the address says so; it moves when about three in a row are missing. Duration, 100ms to 40s, default 1s. Higher leaves clients of a dead host waiting longer; lower sends more and moves addresses away from hosts that are merely slow.',
      ),
  })
  .transform(({ advertInterval, ...found }): VipConfig => ({ ...found, advertIntervalMs: advertInterval }))
  .describe('One address that moves between the hosts.')

export const vips = z
  .array(vip)
  .prefault([])
  .describe(
    'Addresses that keepalived moves to a host that lives; castor keepalived writes its configuration. Default none.',
  )
