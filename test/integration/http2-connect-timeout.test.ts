import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import { get, request } from './support/raw-client.js'
import { TcpTarget } from './support/tcp-peers.js'

t.test(
  'an h2c target that never answers is given up when timeouts.connect is over, not at the next second',
  async (t) => {
    const silent = await TcpTarget.start(t, () => {})
    const group = { protocol: 'h2c', retries: 'off', timeouts: { connect: '100ms' } }
    const castor = await startBalancer(t, onePair('http', [silent.address], { group }))
    const timesMs: number[] = []
    for (let i = 0; i < 3; i++) {
      const startMs = performance.now()
      t.equal((await request(castor.port, get('/'))).status, 504)
      timesMs.push(performance.now() - startMs)
    }
    t.ok(Math.min(...timesMs) < 600, `answered after ${timesMs.map(Math.round).join(', ')} ms`)
  },
)
