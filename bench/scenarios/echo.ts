import type { LoadResult } from '../load/load.js'
import type { PingPongOptions } from '../load/ping-pong.js'
import { loadCore } from '../machine.js'
import { orderOnce } from '../order.js'
import { measureCpu } from '../rounds.js'
import type { Scenario } from './scenario.js'

const GRACE_SECONDS = 15

const cases = [
  { name: 'websocket-125', title: 'WebSocket echo, 125 B', protocol: 'websocket', bytes: 125, most: 1 },
  { name: 'websocket-64k', title: 'WebSocket echo, 64 KiB', protocol: 'websocket', bytes: 65_536 },
  { name: 'tcp-echo', title: 'TCP pass-through, 125 B', protocol: 'tcp', bytes: 125, most: 1 },
] as const

/** CPU a message there and back, one message under way on each connection. */
export const echoScenarios: readonly Scenario[] = cases.map((each) => ({
  name: each.name,
  title: each.title,
  unit: 'round trip',
  needs: [each.protocol],
  mode: each.protocol === 'tcp' ? 'tcp' : 'http',
  origin: each.protocol,
  ...('most' in each ? { limit: { kind: 'ratio', most: each.most } } : {}),
  load: () => 'own',
  run: (bench) =>
    measureCpu(bench, (port, seconds) => {
      const options: PingPongOptions = { port, connections: bench.settings.connections, seconds, bytes: each.bytes }
      return orderOnce<PingPongOptions, LoadResult>(
        `load/${each.protocol}`,
        options,
        loadCore,
        (seconds + GRACE_SECONDS) * 1000,
      )
    }),
}))
