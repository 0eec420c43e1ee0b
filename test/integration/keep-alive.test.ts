import { readFileSync } from 'node:fs'
import t from 'tap'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { dial, echo, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

/** How /proc/net/tcp marks a connection whose next timer is TCP's keep-alive. */
const KEEP_ALIVE = '02'

/** The timer of the socket with this local and remote port, as the system's table has it. */
function timerOf(local: number | undefined, remote: number | undefined): string | undefined {
  const hex = (port: number | undefined): string =>
    port === undefined ? '' : port.toString(16).padStart(4, '0').toUpperCase()
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, here, there, state, , timer] = line.trim().split(/\s+/)
    const fits = here?.endsWith(`:${hex(local)}`) === true && there?.endsWith(`:${hex(remote)}`) === true
    if (fits && state === '01') return timer?.slice(0, 2)
  }
  return undefined
}

for (const [what, env] of [
  ['', {}],
  [' (without the addon)', { CASTOR_NATIVE: 'off' }],
] as const) {
  for (const [how, keepAlive, expected] of [
    ['asks after silent peers unless told otherwise', undefined, true],
    ['off asks nobody', 'off', false],
  ] as const) {
    t.test(`TCP keep-alive ${how}, on both sides${what}`, async (t) => {
      const target = await TcpTarget.start(t, echo)
      const keys = keepAlive === undefined ? {} : { keepAlive }
      const config = onePair('tcp', [target.address], { listener: { ...keys, idleTimeout: 'off' }, group: keys })
      const castor = await startChild(t, config, { env })
      const client = await dial(castor.port())
      client.write('x')
      await new Promise((resolve) => client.once('data', resolve))
      const dialled = target.sockets[0]!.remotePort
      const toClient = (): string | undefined => timerOf(castor.port(), client.localPort)
      const toTarget = (): string | undefined => timerOf(dialled, target.port)
      // Until the other side has acknowledged, another timer runs.
      await until('the clients’ side', () => (toClient() === KEEP_ALIVE) === expected && toClient() !== undefined)
      await until('the targets’ side', () => (toTarget() === KEEP_ALIVE) === expected && toTarget() !== undefined)
      t.pass()
      client.destroy()
    })
  }
}
