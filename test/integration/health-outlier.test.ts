import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { fetchText } from './support/castor.js'
import { Groups } from './support/groups.js'
import { patch } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial, echo, endingOf, refusingAddress, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

/** What can be provoked counts where several sources meet it. */
const SOURCES = ['127.0.0.2', '127.0.0.3', '127.0.0.4']

async function soundTarget(): Promise<RawTarget> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return target
}

async function failingTarget(status = '503 Service Unavailable'): Promise<RawTarget> {
  const target = await RawTarget.start({ answer: (_, connection) => connection.write(ok('', [], status)) })
  t.teardown(() => target.stop())
  return target
}

/** Fails so many of each ten requests, evenly spread. */
async function flakyTarget(failing: number): Promise<RawTarget> {
  let count = 0
  const target = await RawTarget.start({
    answer: (_, connection) => connection.write(ok('', [], (count++ * 3) % 10 < failing ? '504 Late' : '200 OK')),
  })
  t.teardown(() => target.stop())
  return target
}

async function failingTargets(count: number): Promise<RawTarget[]> {
  return Promise.all(Array.from({ length: count }, () => failingTarget()))
}

const refusing = { address: await refusingAddress() }
const returning = { address: await refusingAddress() }
const fourFailing = await failingTargets(4)
const [flakySix, flakyFour] = [await flakyTarget(6), await flakyTarget(4)]
const [plain, counted] = [await failingTarget('500 Oops'), await failingTarget('500 Oops')]
const [drained, last] = [await soundTarget(), await failingTarget()]
const panicking = await failingTargets(4)
panicking[0]!.script = {}
const checked = await RawTarget.start({
  answer: ({ target }, connection) =>
    connection.write(ok('', [], target === '/health' ? '200 OK' : '503 Service Unavailable')),
})
t.teardown(() => checked.stop())
const resetting = await TcpTarget.start(t, (socket) => void socket.once('data', () => socket.resetAndDestroy()))
const greeting = await TcpTarget.start(t, (socket) => {
  socket.once('data', () => socket.write('hello', () => setTimeout(() => socket.resetAndDestroy(), 5)))
})
const CHECK_INTERVAL_MS = 400
const QUICK = { minRequests: 5, ejectFor: '60s' }
const TCP = { listener: { protocol: 'tcp' }, group: { protocol: 'tcp', outlierDetection: { minRequests: 5 } } }

const groups = await Groups.start(t, {
  refusing: {
    targets: [await soundTarget(), refusing],
    group: { outlierDetection: { consecutiveFailures: 3, ejectFor: '60s' } },
  },
  returning: {
    targets: [await soundTarget(), returning],
    group: { outlierDetection: { consecutiveFailures: 1, ejectFor: '300ms' } },
  },
  share: { targets: fourFailing, group: { outlierDetection: QUICK } },
  six: { targets: [await soundTarget(), flakySix], group: { outlierDetection: {} } },
  four: { targets: [await soundTarget(), flakyFour], group: { outlierDetection: {} } },
  plain: { targets: [await soundTarget(), plain], group: { outlierDetection: {} } },
  counted: { targets: [await soundTarget(), counted], group: { outlierDetection: { on: ['5xx'] } } },
  last: {
    targets: [drained, last],
    group: { outlierDetection: { ...QUICK, maxEjectedPercent: 100 }, panicPercent: 0 },
  },
  panic: { targets: panicking, group: { outlierDetection: QUICK } },
  checked: {
    targets: [await soundTarget(), checked],
    group: {
      healthCheck: { protocol: 'http', path: '/health', interval: `${CHECK_INTERVAL_MS}ms` },
      outlierDetection: QUICK,
    },
  },
  resetting: { targets: [await TcpTarget.start(t, echo), resetting], ...TCP },
  greeting: { targets: [await TcpTarget.start(t, echo), greeting], ...TCP },
})

/** A client of each source on a connection of its own. */
async function clientsOf(name: string): Promise<RawClient[]> {
  const clients = await Promise.all(
    SOURCES.map((address) => RawClient.connect(groups.portOf(name), '127.0.0.1', address)),
  )
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  return clients
}

async function all(name: string, each: number): Promise<void> {
  for (const client of await clientsOf(name)) {
    for (let i = 0; i < each; i++) await client.exchange(get('/'))
  }
}

t.test('a refusing target costs clients nothing', async (t) => {
  const failed: number[] = []
  const clients = Array.from({ length: 8 }, async () => {
    const client = await RawClient.connect(groups.portOf('refusing'))
    for (let i = 0; i < 250; i++) {
      const { status } = await client.exchange(get('/'))
      if (status !== 200) failed.push(status)
    }
    client.close()
  })
  await Promise.all(clients)
  t.same(failed, [], 'none of 2,000 requests failed')
  t.same(await groups.health('refusing'), ['unchecked', 'ejected'])
})

/** What the status says of one target, and when by the balancer's own clock. */
interface Seen {
  readonly upMs: number
  readonly ejected: boolean
}

async function look(name: string, id: string): Promise<Seen> {
  const status = JSON.parse(await fetchText(groups.balancer.running.admin.port, '/api/v1/status')) as {
    uptimeMs: number
    targetGroups: { name: string; targets: { id: string; health: string }[] }[]
  }
  const target = status.targetGroups.find((group) => group.name === name)!.targets.find((one) => one.id === id)!
  return { upMs: status.uptimeMs, ejected: target.health === 'ejected' }
}

/**
 * How long an ejection lasted by the balancer's own clock: at least between the first and the last time it was seen, at
 * most between the times before and after. However slow this test is, what it lasted lies between them.
 */
async function lasted(
  name: string,
  id: string,
  provoke: () => Promise<unknown>,
): Promise<[least: number, most: number]> {
  let before = await look(name, id)
  const first = await until('an ejection', async () => {
    const seen = await look(name, id)
    if (seen.ejected) return seen
    before = seen
    await provoke()
    return undefined
  })
  let last = first
  const after = await until(
    'its end',
    async () => {
      const seen = await look(name, id)
      if (!seen.ejected) return seen
      last = seen
      return undefined
    },
    20_000,
  )
  return [last.upMs - first.upMs, after.upMs - before.upMs]
}

/** Of milliseconds that are shown rounded, and threads that look at the clock once a turn. */
const SLACK_MS = 20

t.test('an ejection ends, and the next in a row lasts longer', async (t) => {
  for (const expectedMs of [300, 600]) {
    const [least, most] = await lasted('returning', returning.address, () =>
      request(groups.portOf('returning'), get('/')),
    )
    t.ok(least - SLACK_MS <= expectedMs && expectedMs <= most + SLACK_MS, `${expectedMs}: ${least} to ${most} ms`)
  }
})

t.test('never more than the share that may be ejected, and what several clients meet counts', async (t) => {
  await all('share', 30)
  t.equal(await groups.ejected('share'), 2)
})

t.test('a target that fails half of the requests is ejected, one that fails fewer is not', async (t) => {
  for (const name of ['six', 'four']) {
    const client = await RawClient.connect(groups.portOf(name))
    for (let i = 0; i < 80; i++) await client.exchange(get('/'))
    client.close()
  }
  t.same(await groups.health('six'), ['unchecked', 'ejected'])
  t.same(await groups.health('four'), ['unchecked', 'unchecked'])
})

t.test('a plain 500 is the application’s, unless the group says otherwise', async (t) => {
  for (const name of ['plain', 'counted']) await all(name, 20)
  t.same(await groups.health('plain'), ['unchecked', 'unchecked'])
  t.same(await groups.health('counted'), ['unchecked', 'ejected'])
})

t.test('the last target that takes traffic is never ejected, whatever became of the others', async (t) => {
  const change = (body: object) => patch(groups.balancer, drained.address, body, 'last')
  await change({ state: 'draining' })
  await all('last', 20)
  t.same(await groups.health('last'), ['unchecked', 'unchecked'])

  await change({ state: 'active' })
  await until('the ejection of one of two', async () => {
    await all('last', 4)
    return (await groups.ejected('last')) === 1
  })
  await change({ state: 'maintenance' })
  last.script = {}
  const [client] = await clientsOf('last')
  t.equal((await client!.exchange(get('/'))).status, 200, 'an ejected target is better than none')
})

t.test('with too few targets left ejections are ignored, and count again with enough of them', async (t) => {
  await all('panic', 30)
  t.equal(await groups.ejected('panic'), 2)
  const [client] = await clientsOf('panic')
  const counts = (): number[] => panicking.map(({ requests }) => requests.length)
  const asked = async (): Promise<number> => {
    const before = counts()
    for (let i = 0; i < 12; i++) await client!.exchange(get('/'))
    return counts().filter((count, i) => count > before[i]!).length
  }
  t.equal(await asked(), 2, 'two of four are half: those that are ejected are left alone')
  const shownPanic = async (): Promise<unknown[]> => {
    const adminPort = groups.balancer.running.admin.port
    const status = JSON.parse(await fetchText(adminPort, '/api/v1/status')) as {
      problems: string[]
      targetGroups: { name: string; panic: boolean }[]
    }
    const metrics = await groups.balancer.metrics()
    return [
      status.targetGroups.find(({ name }) => name === 'panic')!.panic,
      metrics.sum('castor_target_group_panic', 'target_group="panic"'),
      status.problems.some((problem) => problem.startsWith('target group panic is in panic')),
    ]
  }
  t.same(await shownPanic(), [false, 0, false])
  for (const target of panicking) target.script = {}
  // Of the three that the operator wants to take traffic from now on, one does.
  const third = (await groups.targets('panic')).find(
    ({ id, health }) => health !== 'ejected' && id !== panicking[0]!.address,
  )
  await patch(groups.balancer, third!.id, { weight: 0 }, 'panic')
  await until('every target that is wanted to be asked', async () => (await asked()) === 3)
  t.equal(await groups.ejected('panic'), 2, 'the ejections stand')
  t.same(await shownPanic(), [true, 1, true], 'in status and metrics')
  await patch(groups.balancer, third!.id, { weight: 10 }, 'panic')
  await until('the ejected ones to be left alone again', async () => (await asked()) === 2)
  t.same(await shownPanic(), [false, 0, false])
})

t.test('a check that passes ends an ejection early, though not the one that the ejection asks for', async (t) => {
  const [least, most] = await lasted('checked', checked.address, () => all('checked', 4))
  t.ok(least < 20_000 && most + SLACK_MS >= CHECK_INTERVAL_MS / 2, `${least} to ${most} ms`)
})

t.test('a tcp target that resets before it says anything is ejected, one that resets afterwards is not', async (t) => {
  for (const [name, expected] of [
    ['resetting', 1],
    ['greeting', 0],
  ] as const) {
    for (let i = 0; i < 24; i++) {
      const socket = await dial(groups.portOf(name), { localAddress: SOURCES[i % 3]! })
      socket.write('hello')
      await new Promise<void>((resolve) => {
        socket.once('data', () => resolve()).once('close', () => resolve())
      })
      if (i % 4 < 2) await Promise.race([endingOf(socket), wait(20)])
      socket.destroy()
    }
    t.equal(await groups.ejected(name), expected, name)
  }
})
