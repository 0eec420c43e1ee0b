import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { ConnHandler } from '../../../src/core/conn.js'
import { TimerWheel } from '../../../src/net/timer-wheel.js'
import { Tunnel, type TunnelEnd } from '../../../src/proxy/tunnel.js'
import { MemoryTransport } from '../../memory/memory-transport.js'
import { parse } from '../config/support.js'

const HOUR_MS = 3_600_000
const STEP_MS = HOUR_MS / 2
const PEER: ConnHandler = { onOpen() {}, onData() {}, onEnd: (conn) => conn.end(), onWritable() {}, onClose() {} }

const idleMsOf = (protocol: 'tcp' | 'tls', idleTimeout: string): number =>
  parse(`listeners: [{ name: web, protocol: tcp, listen: 127.0.0.1:1, targetGroup: app, idleTimeout: ${idleTimeout} }]
targetGroups: [{ name: app, protocol: ${protocol}, targets: [{ address: 127.0.0.1:9001 }] }]`).listeners[0]!
    .idleTimeoutMs

/** The hours of silence after which the tunnel ended, and how; undefined where it lives after `hours`. */
function endOf(idleMs: number, hours: number): { hours: number; end: TunnelEnd } | undefined {
  const clock = new ManualClock()
  const transport = new MemoryTransport(clock)
  const wheel = new TimerWheel(clock)
  const [client] = transport.pair(PEER, PEER)
  const [target] = transport.pair(PEER, PEER)
  let found: { hours: number; end: TunnelEnd } | undefined
  let passedMs = 0
  new Tunnel(client, target, idleMs, HOUR_MS, wheel, {
    onTunnelClosed: (end) => (found = { hours: passedMs / HOUR_MS, end }),
    onTunnelAlive() {},
  })
  while (found === undefined && passedMs < hours * HOUR_MS) {
    passedMs += STEP_MS
    clock.advance(STEP_MS)
    wheel.tick()
    transport.flush()
  }
  return found
}

t.test('a TCP connection lives through a silence of days where idleTimeout is longer, or off', async (t) => {
  t.same(endOf(idleMsOf('tcp', '2h'), 5), { hours: 2, end: 'idle' })
  t.same(endOf(idleMsOf('tcp', '25h'), 30), { hours: 25, end: 'idle' })
  t.same(endOf(idleMsOf('tls', '1000h'), 1_100), { hours: 1_000, end: 'idle' })
  t.same(endOf(idleMsOf('tcp', '8760h'), 8_800), { hours: 8_760, end: 'idle' })
  t.equal(endOf(idleMsOf('tcp', 'off'), 10_000), undefined)
  t.equal(endOf(idleMsOf('tls', 'off'), 10_000), undefined)
})
