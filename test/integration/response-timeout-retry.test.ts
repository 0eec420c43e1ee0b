import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { ask, connectTo, Http2Target, sayHello } from './support/http2-peers.js'
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

for (const protocol of ['http', 'h2c'] as const) {
  t.test(`a rule’s time for answers goes before its group’s, retries included: ${protocol}`, async (t) => {
    // The first never answers, the second takes longer than the group allows.
    let asked = 0
    const takesLong = 3 * RESPONSE_MS
    const later = (answer: () => unknown): void => {
      const timer = setTimeout(answer, takesLong)
      t.teardown(() => clearTimeout(timer))
    }
    const addresses: string[] = []
    for (const silent of [true, false]) {
      if (protocol === 'h2c') {
        const target = await Http2Target.start(t, (stream, headers) => {
          if (silent) asked++
          else later(() => stream.destroyed || sayHello(stream, headers))
        })
        addresses.push(target.address)
      } else {
        const target = await RawTarget.start({
          answer: (_, connection) => {
            if (silent) asked++
            else later(() => connection.write(ok('hello')))
          },
        })
        t.teardown(() => target.stop())
        addresses.push(target.address)
      }
    }
    const { port } = await startTestCastor(t, addresses, {
      listener: {
        http2: true,
        rules: [
          { match: { path: '/long' }, forward: 'app', timeouts: { response: `${2 * takesLong}ms` } },
          { match: { path: '/short' }, forward: 'app', timeouts: { response: '20ms' } },
        ],
      },
      group: {
        protocol,
        outlierDetection: 'off',
        retries: { attempts: 1, on: ['response-timeout'], budgetPercent: 100 },
        timeouts: { response: `${RESPONSE_MS}ms` },
      },
    })
    const session = await connectTo(t, port)
    const both = async (path: string): Promise<number[]> => [
      ...(await Promise.all([request(port, get(path)), request(port, get(path))])).map(({ status }) => status),
      (await ask(session, { ':path': path })).status,
    ]
    t.same(await both('/long'), [200, 200, 200], 'at once, or after the first target had its time')
    t.ok(asked > 0, 'which was asked')
    const { ms, value } = await timed(both('/short'))
    t.same(value, [504, 504, 504])
    t.ok(ms < 4 * RESPONSE_MS, `in ${ms} ms, not twice two attempts of the group’s`)
    t.same(await both('/'), [504, 504, 504], 'other requests have the group’s')
  })
}
