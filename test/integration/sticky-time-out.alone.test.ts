import t from 'tap'
import { type From, openTcp, startSticky } from './support/sticky-targets.js'
import { until } from './support/until.js'
import { never } from './support/waiting.js'

// They wait more than they work.
t.jobs = 3

const TIMEOUT_MS = 2_000
const STICKINESS = { type: 'source-ip', timeout: `${TIMEOUT_MS}ms` }

for (const protocol of ['http', 'tcp'] as const) {
  t.test(`${protocol}: use keeps a client on its target, and idleness lets it go`, { buffered: true }, async (t) => {
    // One thread, so that round robin is in turn for whoever has no session.
    const { ask } = await startSticky(t, protocol, { stickiness: STICKINESS }, 1)
    const client: From = { via: 'v1', address: '192.0.2.7' }
    let strangers = 0
    const stranger = (): Promise<string> => ask({ via: 'v2', address: `198.51.100.${++strangers}` })
    const home = await ask(client)
    const begunMs = performance.now()
    while (performance.now() < begunMs + 2.2 * TIMEOUT_MS) {
      await new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS / 5))
      await stranger()
      t.equal(await ask(client), home, `after ${Math.round(performance.now() - begunMs)} ms`)
    }
    await new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS + 300))
    // Whoever is chosen next, it is not the one that was chosen just now.
    await until('a stranger at its old target', async () => (await stranger()) === home)
    t.not(await ask(client), home, 'forgotten')
  })
}

t.test('an open connection is use: its client is not forgotten meanwhile', { buffered: true }, async (t) => {
  const { ask, port } = await startSticky(t, 'tcp', { stickiness: STICKINESS }, 1)
  const client: From = { via: 'v1', address: '192.0.2.7' }
  const { client: open, by: home } = await openTcp(port('v1'), client)
  await never('it being closed', () => open.reader.ended, 2.2 * TIMEOUT_MS)
  await until(
    'a stranger at its target',
    (() => {
      let strangers = 0
      return async () => (await ask({ via: 'v2', address: `198.51.100.${++strangers}` })) === home
    })(),
  )
  t.equal(await ask(client), home)
  open.close()
})
