import { createServer } from 'node:http2'
import type { Socket } from 'node:net'
import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import { get, request } from './support/raw-client.js'
import { TcpTarget } from './support/tcp-peers.js'
import { timed } from './support/waiting.js'

t.test(
  'an h2c target that never answers is given up when timeouts.connect is over, not at the next second',
  async (t) => {
    const silent = await TcpTarget.start(t, () => {})
    const group = { protocol: 'h2c', retries: 'off', timeouts: { connect: '100ms' } }
    const castor = await startBalancer(t, onePair('http', [silent.address], { group }))
    const answerMs = async (): Promise<number> => {
      const { ms, value } = await timed(request(castor.port, get('/')))
      t.equal(value.status, 504)
      return Math.round(ms)
    }
    // The first begins anywhere within a second. Where time-outs were looked at once a second only, each of the others would
    // begin at the end of one and take the whole of the next. One that did not is enough: the machine may be busy.
    await answerMs()
    const timesMs: number[] = []
    while (timesMs.length < 10 && !timesMs.some((ms) => ms < 600)) timesMs.push(await answerMs())
    t.ok(Math.min(...timesMs) < 600, `answered after ${timesMs.join(', ')} ms`)
  },
)

t.test('a connection that its target never answered on holds up no later request', async (t) => {
  const server = createServer((_request, response) => response.end('here'))
  const sockets = new Set<Socket>()
  const silent = await TcpTarget.start(t, (socket) => {
    sockets.add(socket)
    // Only the first is left without a word.
    if (sockets.size > 1) server.emit('connection', socket)
  })
  server.on('sessionError', () => {})
  const group = { protocol: 'h2c', retries: 'off', timeouts: { connect: '100ms' } }
  const castor = await startBalancer(t, onePair('http', [silent.address], { group }))
  const statuses: number[] = []
  while (statuses.length < 3 && statuses.at(-1) !== 200) statuses.push((await request(castor.port, get('/'))).status)
  // The second may meet the first's connection as that is given up.
  t.equal(statuses[0], 504)
  t.equal(statuses.at(-1), 200, `${statuses}`)
  t.ok(sockets.size >= 2, 'by a connection of its own')
})
