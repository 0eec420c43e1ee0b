import t from 'tap'
import { MemoryThread } from './memory-thread.js'

const A = '192.0.2.11'
const B = '192.0.2.12'
const REQUESTS = 60

/** How the target A answers its nth request; B answers all of them in 15 ms. */
type Answer = (count: number) => { readonly status: string; readonly ms: number }

/** How many of the requests of one client went to A. */
async function share(outlierDetection: unknown, answer: Answer): Promise<number> {
  const memory = new MemoryThread({
    listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one' }],
    targetGroups: [
      {
        name: 'one',
        protocol: 'http',
        algorithm: 'peak-ewma',
        healthCheck: { protocol: 'off' },
        outlierDetection,
        targets: [{ address: `${A}:80` }, { address: `${B}:80` }],
      },
    ],
  })
  memory.answering = false
  const client = memory.connect(80)
  let asked = 0
  for (let i = 0; i < REQUESTS; i++) {
    await memory.get(client)
    const target = memory.targets.find(({ waiting }) => waiting > 0)!
    const { status, ms } = target.address === A ? answer(asked++) : { status: '200 OK', ms: 15 }
    await memory.elapse(ms)
    target.waiting--
    target.send(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
    await memory.settle()
  }
  return asked
}

const half =
  (status: string): Answer =>
  (count) => ({ status: count % 2 === 0 ? '200 OK' : status, ms: 15 })

t.test('an error that does not count costs a target none of its requests by peak-ewma', async (t) => {
  for (const [status, outlierDetection] of [
    ['500 Oops', {}],
    ['501 No', 'off'],
    ['500 Oops', { on: ['connect', 'gateway'] }],
  ] as const) {
    const asked = await share(outlierDetection, half(status))
    t.ok(asked >= 27 && asked <= 33, `${status}, ${JSON.stringify(outlierDetection)}: ${asked} of ${REQUESTS}`)
  }
})

t.test('an error that counts, and any of a gateway, costs it most of them', async (t) => {
  for (const [status, outlierDetection] of [
    ['500 Oops', { on: ['5xx'], minRequests: 10_000 }],
    ['503 Busy', { on: ['connect'] }],
    ['502 Bad', 'off'],
  ] as const) {
    const asked = await share(outlierDetection, half(status))
    t.ok(asked <= 6, `${status}, ${JSON.stringify(outlierDetection)}: ${asked} of ${REQUESTS}`)
  }
})

t.test('a target that gives errors at once does not draw the traffic to itself', async (t) => {
  const asked = await share({}, () => ({ status: '500 Oops', ms: 1 }))
  // More than its half only until its time has come up to that of the other.
  t.ok(asked <= 45, `${asked} of ${REQUESTS}`)
})
