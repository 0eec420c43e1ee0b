import { randomUUID } from 'node:crypto'
import { pack } from 'msgpackr'
import t from 'tap'
import { LocalHybridClock } from '../../src/core/hybrid-clock.js'
import { TICKET_KEY_BYTES } from '../../src/core/tls.js'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import { Sealer } from '../../src/mesh/seal.js'
import { toolOrSkip } from '../tools.js'
import type { Test } from './support/castor.js'
import { startChild } from './support/child-castor.js'
import {
  addressesOf,
  joined,
  memberConfig,
  numbered,
  requestFrom,
  SECRET,
  shownCluster,
  targetOf,
} from './support/mesh-pair.js'
import { get } from './support/raw-client.js'
import { RedisServer, redisAt } from './support/redis.js'
import { authorityFor, handshake, secured } from './support/tls.js'
import { until } from './support/until.js'
import { WireEnd } from './support/wire-end.js'

const STREAM = 'castor:{test}:stream'

t.test('rows that are not valid, under the real secret: skipped and counted, and every thread lives on', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const groups = [{ name: 'web', protocol: 'http', targets: addressesOf(await numbered(t, 1)) }]
  const certificate = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const member = memberConfig('a', redis.url, groups)
  const secure = { name: 'tls', listen: '127.0.0.1:0', targetGroup: 'web', ...secured([certificate]) }
  const castor = await startChild(t, { ...member, listeners: [...(member.listeners as object[]), secure] })
  await joined(castor, 0)

  const sealer = new Sealer(SECRET)
  const clock = new LocalHybridClock('evil', Date.now)
  const boot = randomUUID()
  const stamp = (): [number, number] => {
    const into = { high: 0, low: 0 }
    clock.next(into)
    return [into.high, into.low]
  }
  const send = async (operators: unknown[], tickets: unknown[]): Promise<void> => {
    const frame = ['evil', boot, Date.now(), null, ['web', 't0'], [], operators, tickets, []]
    await redis.client.xadd(STREAM, '*', 'f', sealer.seal(pack(frame)))
  }
  const keys = (bytes: number): unknown[] => [Buffer.alloc(bytes, 1), ...stamp()]
  await send([], [keys(TICKET_KEY_BYTES + 1), keys(7), keys(TICKET_KEY_BYTES * 17), keys(0)])
  const weights = [1e9, -2, 0.5, 101].map((weight) => [0, 1, 0, weight, 0, ...stamp()])
  await send([...weights, [0, 1, 0, 77, 0, ...stamp()]], [keys(TICKET_KEY_BYTES * 2)])
  await until('the good one', async () => (await targetOf(castor, 'web', 't0')).weight === 77)
  await until('the bad ones counted', async () => (await shownCluster(castor)).counts.invalid === 8)
  t.equal((await castor.metrics()).sum('castor_cluster_frames_dropped_total', 'invalid_row'), 8)
  t.equal((await requestFrom('192.0.2.1', castor.port('web'), get('/'))).status, 200)
  // The two keys of the last frame are in use by now, by the thread that there was at the start.
  const socket = await handshake(castor.port('tls'))
  socket.destroy()
  const lines = `${castor.stdout}${castor.stderr}`.split('\n')
  t.equal(lines.filter((line) => line.includes('a peer sent rows that are not valid')).length, 1, 'said once')
  t.notOk(lines.some((line) => /died|worker.*ended/.test(line)))
})

/** An end that joins under a reason, or none, and what it was told. */
function joining(t: Test, url: string): WireEnd {
  const end = new WireEnd(new RedisTransport(redisAt(url), 'test'))
  t.teardown(() => end.transport.close())
  return end
}

t.test(
  'a Redis that takes no writes: the reason is told before anybody counts on it, and is asked ever less',
  async (t) => {
    if (toolOrSkip(t, 'redis-server') === undefined) return
    const redis = await RedisServer.start(t)
    const LAST_ID = '18446744073709551615-18446744073709551615'
    await redis.client.xadd(STREAM, LAST_ID, 'f', 'x')
    const rights = '+xread +xrange +xrevrange +set +get +mget +scan +ping +client|setname'.split(' ')
    await redis.client.acl('SETUSER', 'reader', 'on', '>secret', '~castor:*', '-@all', ...rights)
    for (const [url, reason] of [
      [redis.url, 'its stream was given the last id there is: delete the key castor:{NAME}:stream'],
      [`redis://reader:secret@127.0.0.1:${redis.port}`, 'its user is not authorised to run XADD'],
    ] as const) {
      const end = joining(t, url)
      const beganMs = performance.now()
      await until('five tries', () => end.downs.length >= 5, 15_000)
      t.ok(performance.now() - beganMs >= 50 + 100 + 200 + 400, 'with longer and longer pauses')
      t.same([...new Set(end.downs)], [reason])
      t.same(end.ups, [], 'never called good')
      await end.transport.close()
    }
    const mended = joining(t, redis.url)
    await until('the reason', () => mended.downs.length > 0)
    await redis.client.del(STREAM)
    await mended.up()
    t.ok(await mended.publish('goes on'))
  },
)

t.test('a Redis that breaks off soon after each start is tried ever less', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const end = joining(t, redis.url)
  const beganMs = performance.now()
  for (let times = 1; times <= 5; times++) {
    await end.up(times)
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('the break', () => end.downs.length === times)
  }
  t.ok(performance.now() - beganMs >= 50 + 100 + 200 + 400, 'with longer and longer pauses')
})
