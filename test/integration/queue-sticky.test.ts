import t from 'tap'
import { patch } from './support/operator.js'
import { all200, ask, PATIENT, queued, startBefore, statusesOf } from './support/queue.js'
import { get, request } from './support/raw-client.js'
import { eventually } from './support/waiting.js'

t.test('a sticky client waits for its own target while another is idle', async (t) => {
  const group = { maxConnectionsPerTarget: 1, queue: PATIENT, stickiness: { type: 'cookie' } }
  const { castor, targets } = await startBefore(t, group, { targets: 2, workers: 2 })
  for (const target of targets) target.flow()
  const cookie = (await request(castor.port, get('/login'))).header('set-cookie')!.split(';')[0]!
  const home = targets.find(({ seen }) => seen.length === 1)!
  const other = targets.find((target) => target !== home)!
  home.hold()
  const answers = [await ask(castor, '/1', [`Cookie: ${cookie}`])]
  await eventually('the home target to be full', () => home.seen.length === 2)
  answers.push(await ask(castor, '/2', [`Cookie: ${cookie}`]))
  await queued(castor, 1)
  t.equal((await request(castor.port, get('/anybody'))).status, 200, 'others are not held up by it')
  t.ok(other.seen.includes('/anybody'))
  await queued(castor, 1)
  home.flow()
  for (const { answer } of answers) t.equal((await answer).header('set-cookie')!.split(';')[0], cookie)
  t.same(home.seen, ['/login', '/1', '/2'])
})

for (const [what, change] of [
  ['drains', { state: 'draining' }],
  ['has no weight any more', { weight: 0 }],
] as const) {
  t.test(`those who wait for any target are not in the way of a client whose own ${what}`, async (t) => {
    const group = { maxConnectionsPerTarget: 1, queue: PATIENT, stickiness: { type: 'cookie' } }
    const { castor, targets } = await startBefore(t, group, { targets: 2, workers: 2 })
    for (const target of targets) target.flow()
    const cookie = (await request(castor.port, get('/login'))).header('set-cookie')!.split(';')[0]!
    const home = targets.find(({ seen }) => seen.length === 1)!
    const other = targets.find((target) => target !== home)!
    t.equal((await patch(castor, home.address, change)).code, 200)
    other.hold()
    const strangers = [await ask(castor, '/1')]
    await eventually('the other target to be full', () => other.seen.length === 1)
    for (const path of ['/2', '/3']) strangers.push(await ask(castor, path))
    await queued(castor, 2)
    // One after the other, over both threads.
    for (const path of ['/a', '/b', '/c', '/d']) {
      t.equal((await request(castor.port, get(path, [`Cookie: ${cookie}`]))).status, 200)
    }
    t.same(home.seen, ['/login', '/a', '/b', '/c', '/d'])
    // Both at once: the second waits for the first alone.
    home.hold()
    const own = [await ask(castor, '/e', [`Cookie: ${cookie}`])]
    await eventually('the home target to be full', () => home.seen.length === 6)
    own.push(await ask(castor, '/f', [`Cookie: ${cookie}`]))
    await queued(castor, 3)
    home.flow()
    t.same(await statusesOf(own), all200(own))
    await queued(castor, 2)
    other.flow()
    t.same(await statusesOf(strangers), all200(strangers))
  })
}

const STICKINESS = [
  { type: 'cookie' },
  { type: 'source-ip', timeout: '60s' },
  { type: 'app-cookie', name: 'SID', timeout: '60s' },
] as const

for (const stickiness of STICKINESS) {
  t.test(
    `where it may not wait a sticky client goes elsewhere for once, and stays bound (${stickiness.type})`,
    async (t) => {
      const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, stickiness }, { targets: 2 })
      for (const { target } of targets) {
        target.script = {
          answer: (asked, connection) => {
            const set = asked.target === '/login' && stickiness.type === 'app-cookie' ? 'Set-Cookie: SID=abc\r\n' : ''
            connection.write(`HTTP/1.1 200 OK\r\n${set}Content-Length: 0\r\n\r\n`)
          },
        }
      }
      const login = await request(castor.port, get('/login'))
      const cookie = login.header('set-cookie')?.split(';')[0]
      const lines = cookie === undefined ? [] : [`Cookie: ${cookie}`]
      const home = targets.find(({ seen }) => seen.length === 1)!
      const other = targets.find((target) => target !== home)!
      home.hold()
      const held = await ask(castor, '/held', lines)
      await eventually('the home target to be full', () => home.seen.length === 2)
      const spilled = await request(castor.port, get('/spilled', lines))
      t.equal(spilled.status, 200)
      t.same(other.seen, ['/spilled'])
      if (stickiness.type === 'cookie') t.equal(spilled.header('set-cookie')!.split(';')[0], cookie)
      home.flow()
      t.equal((await held.answer).status, 200)
      for (let i = 0; i < 3; i++) await request(castor.port, get(`/back${i}`, lines))
      t.same(home.seen.slice(2), ['/back0', '/back1', '/back2'])
    },
  )
}
