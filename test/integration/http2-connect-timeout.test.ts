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
