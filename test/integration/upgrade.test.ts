import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { nativeAddon } from '../../src/native/addon.js'
import { ask as askTls, handshake } from './support/tls.js'
import { until } from './support/until.js'
import { adminSocket, askUnix, Echoing, endOf, UpgradeTraffic, upgrade } from './support/upgrade.js'
import { startWithState } from './support/upgrade-state.js'

if (nativeAddon() === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

/** Answers with its name, and echoes over WebSocket. */
async function startTarget(t: Test, name: string): Promise<string> {
  const server = createServer((_, response) => response.end(name))
  const echo = new WebSocketServer({ server })
  echo.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const client of echo.clients) client.terminate()
    server.close()
    server.closeAllConnections()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Shown {
  readonly sessions: { readonly live: number }
  readonly targetGroups: { readonly name: string; readonly targets: { id: string; weight: number; state: string }[] }[]
}

t.test('three upgrades in a row lose no request, no connection and nothing that is known', async (t) => {
  const [one, two, three] = [await startTarget(t, 'one'), await startTarget(t, 'two'), await startTarget(t, 'three')]
  const admin = adminSocket(t)
  const { castor, stuckTo, session } = await startWithState(t, admin, [one, two, three], [one, two])

  const traffic = new UpgradeTraffic(t, castor.port())
  const statuses: number[] = []
  let watching = true
  const watch = (async () => {
    while (watching) {
      statuses.push(
        await askUnix(admin, 'GET', '/readyz').then(
          ({ code }) => code,
          () => 0,
        ),
      )
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  const echoing = await Echoing.open(t, castor.port())
  let pid = castor.pid
  for (let round = 0; round < 3; round++) {
    const before = { ...traffic }
    const result = await upgrade(t, `unix:${admin}`)
    t.equal(result.code, 0, result.stderr)
    t.not(result.pid, pid)
    pid = result.pid
    await until(
      'traffic through the new process',
      () => traffic.kept > before.kept + 20 && traffic.fresh > before.fresh + 10,
    )
  }
  watching = false
  await Promise.all([traffic.stop(), watch])
  t.same(traffic.failed, [], `${traffic.kept} requests on kept connections, ${traffic.fresh} on new ones`)
  t.same(
    statuses.filter((code) => code !== 200),
    [],
    `${statuses.length} questions for readiness`,
  )
  t.equal(echoing.closed, undefined, 'the WebSocket of the first process lives')
  const { count } = echoing
  await until('more of its echoes', () => echoing.count > count + 5, 20_000)

  const { json } = await askUnix(admin, 'GET', '/api/v1/status')
  const { sessions, targetGroups } = json as Shown
  t.match(targetGroups[0]!.targets, [
    { id: one, state: 'draining' },
    { id: two, weight: 40, state: 'active' },
    { id: three, weight: 30, state: 'active' },
  ])
  t.equal(sessions.live, 1)
  t.equal((await askTls(castor.port('secure'))).text, stuckTo)
  const again = await handshake(castor.port('secure'), { maxVersion: 'TLSv1.2', session })
  t.ok(again.isSessionReused(), 'a ticket of the first process')
  again.destroy()

  echoing.socket.close()
  // Its output does not end with it: the others have inherited it.
  await until('the end of the first process with its last connection', () => !castor.alive, 40_000)
  t.equal(castor.child.exitCode, 0)
  t.ok(existsSync(admin), 'and leaves the admin socket to the one that serves')
  process.kill(pid, 'SIGTERM')
  await endOf(pid)
  t.notOk(existsSync(admin))
})
