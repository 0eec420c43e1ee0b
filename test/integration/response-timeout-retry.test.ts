import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { Http2Target, sayHello } from './support/http2-peers.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { timed } from './support/waiting.js'

const RESPONSE_MS = 300

for (const protocol of ['http', 'h2c'] as const) {
  t.test(
    `a request that may be repeated goes elsewhere after a response time-out, where that is asked for: ${protocol}`,
    async (t) => {
      const asked: string[] = []
      const addresses: string[] = []
      // The first two never answer.
      for (const silent of [true, true, false]) {
        if (protocol === 'h2c') {
          const target = await Http2Target.start(t, (stream, headers) => {
            if (silent) asked.push(String(headers[':method']))
            else sayHello(stream, headers)
          })
          addresses.push(target.address)
        } else {
          const target = await RawTarget.start({
            answer: ({ method }, connection) => {
              if (silent) asked.push(method)
              else connection.write(ok('hello'))
            },
          })
          t.teardown(() => target.stop())
          addresses.push(target.address)
        }
      }
      const before = async (retries: object): Promise<number> => {
        const group = { protocol, retries, timeouts: { response: `${RESPONSE_MS}ms` } }
        return (await startTestCastor(t, addresses, { group })).port
      }
      const statuses = async (port: number, text: string): Promise<number[]> => {
        const found: number[] = []
        for (let n = 0; n < addresses.length; n++) found.push((await request(port, text, text.split(' ')[0])).status)
        return found.sort()
      }
      const port = await before({ attempts: 2, on: ['response-timeout'], budgetPercent: 100 })
      t.same(await statuses(port, get()), [200, 200, 200])
      t.same(
        await statuses(port, get('/', ['Content-Length: 2'], 'PUT').concat('hi')),
        [200, 504, 504],
        'its body is gone',
      )
      t.same(
        await statuses(port, get('/', ['Content-Length: 0'], 'POST')),
        [200, 504, 504],
        'it may have been acted on',
      )

      const once = await before({ attempts: 1, on: ['response-timeout'], budgetPercent: 100 })
      const { ms, value } = await timed(statuses(once, get()))
      t.equal(value.filter((status) => status === 504).length, 1, 'one attempt more finds the second silent target')
      t.ok(ms >= 3 * RESPONSE_MS, 'each has the whole time')
      t.same(await statuses(await before({ attempts: 2 }), get()), [200, 504, 504], 'not by default')
    },
  )
}
