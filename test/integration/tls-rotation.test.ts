import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { CertificateFiles } from '../certificates.js'
import { type Balancer, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, handshake, secured } from './support/tls.js'
import { until } from './support/until.js'

const authority = authorityFor(t)
const generations = Array.from({ length: 4 }, (_, n) =>
  authority.issue(`generation-${n}`, { names: [`g${n}.example`, 'shop.example'] }),
)

function install(from: CertificateFiles, directory: string): CertificateFiles {
  const to = { cert: join(directory, 'live.pem'), key: join(directory, 'live.key') }
  for (const part of ['key', 'cert'] as const) {
    copyFileSync(from[part], `${to[part]}.new`)
    renameSync(`${to[part]}.new`, to[part])
  }
  return to
}

async function start(
  t: Test & { testdir(): string },
  workers: number,
): Promise<{ balancer: Balancer; directory: string }> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const directory = t.testdir()
  const listener = secured([install(generations[0]!, directory)])
  return { balancer: await startBalancer(t, onePair('http', [target.address], { listener, workers })), directory }
}

const served = async (port: number): Promise<string> => (await ask(port)).server

t.test('certificates change under load with no handshake failed and no connection dropped', async (t) => {
  const { balancer, directory } = await start(t, 2)
  const { port } = balancer
  const lasting = await Promise.all(Array.from({ length: 4 }, () => handshake(port)))
  let stopped = false
  let asked = 0
  const faults: unknown[] = []
  const seen = new Set<string>()
  const load = Array.from({ length: 4 }, async () => {
    while (!stopped) {
      try {
        const answer = await ask(port)
        if (answer.status !== 200) faults.push(answer.status)
        seen.add(answer.server)
        asked++
      } catch (fault) {
        faults.push(fault)
      }
    }
  })
  for (const [n, generation] of generations.entries()) {
    install(generation, directory)
    await until(`generation ${n} on both workers`, async () => {
      const names = await Promise.all(Array.from({ length: 6 }, () => served(port)))
      return names.every((name) => name === `g${n}.example`)
    })
  }
  stopped = true
  await Promise.all(load)
  t.same(faults, [])
  t.ok(asked > 10, `${asked} requests, each on a connection of its own`)
  t.equal(seen.size, generations.length, 'each was served in its time')
  for (const socket of lasting) t.match(await roundTrip(socket), /^HTTP\/1\.1 200/, 'older connections go on')
  const metrics = await balancer.metrics()
  t.equal(metrics.sum('castor_tls_handshake_failures_total'), 0)
  t.equal(metrics.all('castor_tls_certificate_expiry_timestamp_seconds', 'name="g3.example"').length, 1)
})

t.test('a broken pair changes nothing but the log', async (t) => {
  const { balancer, directory } = await start(t, 1)
  writeFileSync(join(directory, 'live.pem'), 'garbage')
  await until('it was refused', () =>
    balancer.log.some((line) => line.includes('a certificate is refused; the one before serves on')),
  )
  t.equal(await served(balancer.port), 'g0.example')
  install(generations[1]!, directory)
  await until('the next good one serves', async () => (await served(balancer.port)) === 'g1.example')
})

t.test('a session begun on one worker goes on in the others', async (t) => {
  const { balancer } = await start(t, 3)
  const first = await handshake(balancer.port, { maxVersion: 'TLSv1.2' })
  const session = first.getSession()!
  first.destroy()
  let reused = 0
  const open: TLSSocket[] = []
  // Kept open, so that the workers take turns.
  for (let i = 0; i < 9; i++) {
    const socket = await handshake(balancer.port, { maxVersion: 'TLSv1.2', session })
    if (socket.isSessionReused()) reused++
    open.push(socket)
  }
  t.equal(reused, 9)
  const counted = async (...labels: string[]): Promise<number> =>
    (await balancer.metrics()).sum('castor_tls_handshakes_total', ...labels)
  // A client that goes on with a session is done before the server.
  await until('nine short ones', async () => (await counted('resumed="true"', 'version="TLSv1.2"')) === 9)
  t.equal(await counted('resumed="false"'), 1)
  for (const socket of open) socket.destroy()
})

async function roundTrip(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const part of socket) text += String(part)
  return text
}
