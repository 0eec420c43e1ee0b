import t from 'tap'
import { LocalTicketKeys } from '../../src/control/ticket-keys.js'
import { toolOrSkip } from '../tools.js'
import { type Balancer, startBalancer } from './support/balancer.js'
import { addressesOf, memberConfig, numbered } from './support/mesh-pair.js'
import { RedisServer } from './support/redis.js'
import { authorityFor, handshake, secured } from './support/tls.js'
import { until } from './support/until.js'

const ROTATE_MS = 60_000

t.test('a TLS session begun at one host goes on at the other', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const certificate = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const groups = [{ name: 'web', protocol: 'http', targets: addressesOf(await numbered(t, 1)) }]
  const start = async (node: string): Promise<{ balancer: Balancer; keys: LocalTicketKeys }> => {
    const member = memberConfig(node, redis.url, groups)
    const listener = { name: 'web', listen: '127.0.0.1:0', targetGroup: 'web', ...secured([certificate]) }
    const keys = new LocalTicketKeys(ROTATE_MS)
    return { balancer: await startBalancer(t, { ...member, listeners: [listener] }, { ticketKeys: keys }), keys }
  }
  const hosts = await Promise.all([start('a'), start('b')])
  const [a, b] = [hosts[0]!, hosts[1]!]
  const agreed = (): Promise<boolean> =>
    until('both to have the same keys', () => Buffer.from(a.keys.current).equals(Buffer.from(b.keys.current)), 10_000)

  const sessionOf = async ({ balancer }: { balancer: Balancer }): Promise<Buffer> => {
    const socket = await handshake(balancer.port, { maxVersion: 'TLSv1.2' })
    socket.end()
    return socket.getSession()!
  }
  const goesOn = async ({ balancer }: { balancer: Balancer }, session: Buffer): Promise<boolean> => {
    const socket = await handshake(balancer.port, { maxVersion: 'TLSv1.2', session })
    socket.end()
    return socket.isSessionReused()
  }
  /** A worker hears of new keys a moment after its primary. */
  const resumes = (host: { balancer: Balancer }, session: Buffer): Promise<boolean> =>
    until('the session to go on', () => goesOn(host, session))

  await agreed()
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    // The first tickets may still be of keys that were given up for the other host's.
    t.ok(await until('a session of one to go on at the other', async () => goesOn(to, await sessionOf(from))))
  }
  const old = await sessionOf(a)
  for (const rotating of [b, a]) {
    const before = Buffer.from(a.keys.current)
    rotating.keys.rotate()
    await until('the other to follow', () => !Buffer.from(a.keys.current).equals(before))
    await agreed()
    t.ok(await resumes(b, await sessionOf(a)), 'a new ticket')
    t.ok(await resumes(a, old), 'one from before, at its own host')
    t.ok(await resumes(b, old), 'and at the other')
  }
})
