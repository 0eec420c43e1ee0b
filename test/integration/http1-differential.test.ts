import { createHash } from 'node:crypto'
import t from 'tap'
import { SEED, seededRandom } from '../random.js'
import { castorBefore } from './support/castor.js'
import type { Fields } from './support/message.js'
import { type RandomExchange, randomExchange } from './support/random-exchange.js'
import { RawClient, type RawResponse } from './support/raw-client.js'
import type { TargetConnection, TargetRequest } from './support/raw-target.js'

const EXCHANGES = 300

/** About one connection only, or about framing, which may change as long as the body does not. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'content-length']
/** What the balancer tells the target. */
const ADDED = ['x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-port', 'x-forwarded-host']

const without = (fields: Fields, names: readonly string[]): Fields =>
  fields.filter(([name]) => !names.includes(name.toLowerCase()))

const digest = (bytes: Uint8Array): string =>
  `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`

/** What a client makes of a response. HTTP/1.0 knows neither interim responses nor trailers. */
const told = (response: RawResponse, version: string): unknown => ({
  status: response.status,
  reason: response.reason,
  fields: without(response.fields, HOP_BY_HOP),
  body: digest(response.body),
  trailers: version === '1.0' ? [] : response.trailers,
  interims: version === '1.0' ? [] : response.interims,
})

const asked = (request: TargetRequest): unknown => ({
  method: request.method,
  target: request.target,
  fields: without(request.fields, [...HOP_BY_HOP, ...ADDED]),
  framing: request.framing,
  body: digest(request.body),
  trailers: request.trailers,
})

async function write(pieces: readonly Buffer[], to: { write(bytes: Uint8Array): unknown }): Promise<void> {
  for (const piece of pieces) {
    to.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

t.test(`${EXCHANGES} exchanges at random are the same with and without the balancer`, async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const exchanges: RandomExchange[] = []
  const { target, port } = await castorBefore(t, {
    answer: async (request: TargetRequest, connection: TargetConnection) => {
      const exchange = exchanges[Number(request.header('x-case'))]!
      await write(exchange.response, connection)
      if (exchange.untilClose) connection.end()
    },
  })
  let through: RawClient | undefined
  for (let index = 0; index < EXCHANGES; index++) {
    const exchange = randomExchange(random, index)
    exchanges.push(exchange)
    const { method, version } = exchange

    const straight = await RawClient.connect(target.port)
    await write(exchange.request, straight.socket)
    const expected = await straight.response(method)
    straight.close()

    // One connection for as many as it will carry.
    through ??= await RawClient.connect(port)
    await write(exchange.request, through.socket)
    const got = await through.response(method)
    if (got.header('connection') === 'close' || got.framing === 'close') {
      await through.ending()
      through.close()
      through = undefined
    }

    const [first, second] = target.requests.slice(-2)
    const same = t.same(told(got, version), told(expected, version), `the response of exchange ${index}`)
    if (!same || !t.same(asked(second!), asked(first!), `the request of exchange ${index}`)) {
      t.comment(`${Buffer.concat(exchange.request).toString('latin1').slice(0, 2_000)}`)
      break
    }
  }
  through?.close()
  t.equal(target.requests.length, EXCHANGES * 2, 'each was sent once')
})
