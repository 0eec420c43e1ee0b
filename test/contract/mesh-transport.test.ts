import t from 'tap'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import type { Test } from '../integration/support/castor.js'
import { RedisServer, redisAt } from '../integration/support/redis.js'
import { until } from '../integration/support/until.js'
import { WireEnd } from '../integration/support/wire-end.js'
import { MemoryHub } from '../memory/mesh-hub.js'
import { toolOrSkip } from '../tools.js'

/** A store with its network, which can be broken. */
interface Rig {
  join(): WireEnd
  /** All hosts are cut off, and what they had kept stays. */
  cut(): Promise<void>
  mend(): Promise<void>
  loseEverything(): Promise<void>
}

const rigs: Readonly<Record<string, (t: Test) => Promise<Rig>>> = {
  'in memory': async (t) => {
    const hub = new MemoryHub({ delayMs: () => 1, loses: () => false, doubles: () => false })
    const timer = setInterval(() => hub.advanceTo(performance.now()), 1)
    hub.nowMs = performance.now()
    const links: { cut(): void; mend(): void }[] = []
    t.teardown(() => clearInterval(timer))
    return {
      join() {
        const transport = hub.transport()
        links.push(transport)
        return new WireEnd(transport)
      },
      async cut() {
        for (const link of links) link.cut()
      },
      async mend() {
        for (const link of links) link.mend()
      },
      async loseEverything() {
        hub.loseEverything()
      },
    }
  },
  'over Redis': async (t) => {
    const redis = await RedisServer.start(t)
    const ends: WireEnd[] = []
    t.teardown(() => Promise.all(ends.map(({ transport }) => transport.close())))
    return {
      join() {
        const end = new WireEnd(new RedisTransport(redisAt(redis.url), 'test'))
        ends.push(end)
        return end
      },
      // Its data must outlive the break, which those of a server without a disk do only while it runs.
      async cut() {
        await redis.client.config('SET', 'maxclients', 1)
        await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      },
      async mend() {
        await redis.client.config('SET', 'maxclients', 1_000)
      },
      async loseEverything() {
        await redis.end('SIGKILL')
        await redis.begin()
      },
    }
  },
}

for (const [name, makeRig] of Object.entries(rigs)) {
  t.test(name, async (t) => {
    if (name === 'over Redis' && toolOrSkip(t, 'redis-server') === undefined) return
    const rig = await makeRig(t)
    const first = rig.join()
    await first.up()

    t.test('who comes first finds the store empty, who comes next does not', async (t) => {
      t.same(first.ups, [true])
      const second = rig.join()
      await second.up()
      t.same(second.ups, [false])
      await second.transport.close()
    })

    t.test('what is published reaches every host, in order, the sender included', async (t) => {
      const others = [rig.join(), rig.join(), rig.join()]
      for (const other of others) await other.up()
      const sent = Array.from({ length: 50 }, (_, n) => `frame ${n}`)
      t.same(
        await Promise.all(sent.map((text) => first.publish(text))),
        sent.map(() => true),
      )
      for (const end of [first, ...others]) {
        await end.got(...sent)
        t.same(
          end.frames.filter((text) => sent.includes(text)),
          sent,
        )
      }
      t.equal(first.transport.pending, 0)
      for (const other of others) await other.transport.close()
    })

    t.test('bytes of any value arrive as they were', async (t) => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n)).toString('latin1')
      await first.publish(bytes)
      await first.got(bytes)
      t.pass()
    })

    t.test(
      'what is saved reaches who comes later: the last of each key, before it is up, until it expires',
      async (t) => {
        t.ok(await first.save('a', 'old a'))
        t.ok(await first.save('a', 'new a'))
        t.ok(await first.save('b', 'b', 60_000))
        t.ok(await first.save('short', 'short', 50))
        await until('the short-lived one to expire', async () => {
          const early = rig.join()
          await early.up()
          await early.transport.close()
          return !early.frames.includes('short')
        })
        const later = rig.join()
        await later.up()
        t.same([...later.frames].sort(), ['b', 'new a'])
        await later.transport.close()
      },
    )

    t.test(
      'a break is told with its reason, writes fail meanwhile, and what was kept is there afterwards',
      async (t) => {
        const ups = first.ups.length
        await rig.cut()
        await until('down', () => first.downs.length > 0)
        t.ok(first.downs[0])
        t.notMatch(first.downs.join(), /max retries|writeable/)
        t.equal(await first.publish('lost'), false)
        t.equal(await first.save('lost', 'lost'), false)
        await rig.mend()
        await first.up(ups + 1)
        t.equal(first.ups.at(-1), false, 'it remembers')
        await first.publish('after the break')
        await first.got('after the break')
        t.notOk(first.frames.includes('lost'))
      },
    )

    t.test('a store that lost everything is called empty by each host that knew it, and by no other', async (t) => {
      const second = rig.join()
      await second.up()
      const firstUps = first.ups.length
      const secondUps = second.ups.length
      await rig.loseEverything()
      await rig.mend()
      await Promise.all([first.up(firstUps + 1), second.up(secondUps + 1)])
      t.ok(first.ups.at(-1) || second.ups.at(-1), 'somebody fills it')
      if (name === 'over Redis') t.ok(first.ups.at(-1) && second.ups.at(-1), 'over Redis all of them do')
      const third = rig.join()
      await third.up()
      t.same([third.ups, third.frames], [[false], []])
      for (const end of [second, third]) await end.transport.close()
    })

    t.test('closing ends it: nothing more comes, and nothing is taken', async (t) => {
      const gone = rig.join()
      await gone.up()
      await gone.transport.close()
      const { length } = gone.frames
      t.equal(await gone.publish('too late'), false)
      await first.publish('to the others')
      await first.got('to the others')
      t.equal(gone.frames.length, length)
      t.same(gone.downs, [])
    })

    t.test('afterwards', async () => {
      await first.transport.close()
    })
  })
}
