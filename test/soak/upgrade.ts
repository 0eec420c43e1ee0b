/**
 * Upgrades one after the other under load: `npm run soak:upgrade -- --upgrades 50`. Exits 1 when a request failed, a
 * connection was refused, or an upgrade did not come about.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { WebSocketServer } from 'ws'
import { startChild } from '../integration/support/child-castor.js'
import { adminSocket, askUnix, Echoing, UpgradeTraffic } from '../integration/support/upgrade.js'
import { startWrk } from '../integration/support/wrk.js'

const { values } = parseArgs({ options: { upgrades: { type: 'string', default: '50' } } })
const upgrades = Number(values.upgrades)
const ends: (() => unknown)[] = []
const t = { teardown: (end: () => unknown) => ends.push(end) }

const target = createServer((_, response) => response.end('ok'))
const echo = new WebSocketServer({ server: target })
echo.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
const admin = adminSocket(t)
const castor = await startChild(t, {
  workers: 2,
  admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
  listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' }],
  targetGroups: [
    { name: 'out', protocol: 'http', targets: [{ address: `127.0.0.1:${(target.address() as AddressInfo).port}` }] },
  ],
})
const traffic = new UpgradeTraffic(t, castor.port())
const echoing = await Echoing.open(t, castor.port())
const wrk = await startWrk(castor.port())
let pid = castor.pid
let done = 0
for (; done < upgrades; done++) {
  const { json } = await askUnix(admin, 'POST', '/api/v1/upgrade', {})
  const last = JSON.parse(String(json).trim().split('\n').at(-1)!) as { step: string; pid: number; message?: string }
  if (last.step !== 'done') {
    console.log(`upgrade ${done + 1}: ${last.message}`)
    break
  }
  pid = last.pid
  console.log(
    `upgrade ${done + 1}: pid ${pid}, ${traffic.kept + traffic.fresh} requests, ${traffic.failed.length} failed`,
  )
}
const fast = await wrk?.stop()
await traffic.stop()
traffic.failed.push(...(fast?.failed ?? []))
const isGood = done === upgrades && traffic.failed.length === 0 && echoing.closed === undefined
const lost = echoing.closed === undefined ? 'lives' : `was closed with ${echoing.closed}`
if (fast !== undefined) console.log(`${fast.requests} requests of wrk`)
console.log(`${done} of ${upgrades} upgrades; ${traffic.failed.length} requests failed; the first WebSocket ${lost}`)
for (const line of traffic.failed.slice(0, 20)) console.log(`  ${line}`)
echoing.socket.terminate()
process.kill(pid, 'SIGKILL')
for (const end of ends.reverse()) await end()
process.exit(isGood ? 0 : 1)
