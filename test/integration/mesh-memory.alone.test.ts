import t from 'tap'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import { toolOrSkip } from '../tools.js'
import type { Test } from './support/castor.js'
import { RedisServer, redisAt } from './support/redis.js'
import { slowLine } from './support/slow-proxy.js'
import { until } from './support/until.js'
import { WireEnd } from './support/wire-end.js'

const STREAM = 'castor:{test}:stream'

function joining(t: Test, url: string): WireEnd {
  const end = new WireEnd(new RedisTransport(redisAt(url), 'test'))
  t.teardown(() => end.transport.close())
  return end
}

t.test(
  'frames and values of 32 MB by somebody without the secret: not read into memory, and the others are',
  async (t) => {
    if (toolOrSkip(t, 'redis-server') === undefined) return
    const redis = await RedisServer.start(t)
    const end = joining(t, redis.url)
    await end.up()
    // A break, where the machine is slow, is then made up for from the stream.
    await end.publish('first')
    await end.got('first')
    const HUGE_BYTES = 32 * 1024 * 1024
    let highest = 0
    const before = process.memoryUsage.rss()
    const watching = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss() - before)), 5)
    t.teardown(() => clearInterval(watching))
    // Made by the server: this process is what is measured.
    const fill = `local long = string.rep(string.rep('x', 65536), ${HUGE_BYTES / 65_536})
    for i = 1, 2 do redis.call('XADD', KEYS[1], '*', 'f', long) end
    redis.call('XADD', KEYS[1], '*', 'f', 'between')
    local many = {}
    for i = 1, 2000 do many[i] = string.rep('y', 1000) end
    redis.call('XADD', KEYS[1], '*', unpack(many))
    redis.call('XADD', KEYS[1], '*', 'f', 'last')
    for i = 1, 2 do redis.call('SETRANGE', KEYS[2] .. i, ${HUGE_BYTES}, 'z') end`
    await redis.client.eval(fill, 2, STREAM, 'castor:{test}:k:s:')
    await until('what lies between', () => ['between', 'last'].every((text) => end.frames.includes(text)), 30_000)
    t.equal(end.frames.filter((text) => text === '').length, 3, 'the three are told, and are empty')
    await end.save('good', 'a good one')
    const late = joining(t, redis.url)
    await late.up()
    t.same([...late.frames].sort(), ['', '', 'a good one'])
    t.ok(highest < 64 * 1024 * 1024, `grown by ${(highest / 2 ** 20).toFixed(1)} MiB`)
  },
)

t.test('an answer that takes long for its length is waited for, and what comes behind it is read', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const end = joining(t, `redis://127.0.0.1:${await slowLine(t, redis.port, 1_500_000)}`)
  await end.up()
  // Six seconds' worth; an answer is waited for for three.
  const long = `local long = string.rep(string.rep('x', 1000), 9000)
    redis.call('XADD', KEYS[1], '*', 'f', long)
    redis.call('XADD', KEYS[1], '*', 'f', 'behind it')`
  await redis.client.eval(long, 1, STREAM)
  await until('what is behind it', () => end.frames.includes('behind it'), 30_000)
  t.same([end.downs, end.ups], [[], [true]])
})
