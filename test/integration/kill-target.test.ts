import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import { CutShort } from './support/byte-reader.js'
import type { Test } from './support/castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { until } from './support/until.js'

const PROGRAM = fileURLToPath(new URL('../fixtures/slow-target.js', import.meta.url))
const BODY_BYTES = 100_000

interface TargetProcess {
  readonly child: ChildProcess
  readonly address: string
}

async function startTarget(t: Test): Promise<TargetProcess> {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {})
  const ended = once(child, 'exit')
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  const [port] = await once(child.stdout, 'data')
  return { child, address: `127.0.0.1:${String(port).trim()}` }
}

t.test('a target killed in the middle of its responses cuts those and no others', async (t) => {
  const targets = [await startTarget(t), await startTarget(t)]
  const [victim, survivor] = targets as [TargetProcess, TargetProcess]
  const castor = await startBalancer(
    t,
    onePair(
      'http',
      targets.map(({ address }) => address),
      { workers: 2 },
    ),
    { accessLog: true },
  )
  const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(castor.port)))
  const responses = clients.map((client) => client.exchange(get('/slow')))
  const outcomes = responses.map((response) =>
    response.then(
      ({ body }) => body.length,
      (error: unknown) => error,
    ),
  )
  // Every client has half of its response: six from each target, in turn.
  await until('half of every response', () => clients.every(({ reader }) => reader.total > BODY_BYTES / 2))
  victim.child.kill('SIGKILL')
  await until('half of the clients cut off', () => clients.filter(({ reader }) => reader.ended).length === 6)
  survivor.child.stdin!.write('\n')
  const cut = []
  for (const outcome of await Promise.all(outcomes)) {
    if (outcome instanceof CutShort) cut.push(outcome)
    else t.equal(outcome, BODY_BYTES, 'whole')
  }
  t.equal(cut.length, 6, 'the six of the one that was killed, never padded or ended as if whole')
  const records = await castor.accessRecords(12)
  for (const record of records) {
    const expected = record.target === victim.address ? 'TARGET_CUT' : null
    t.equal(record.reason, expected, `${record.target}`)
  }
  t.equal((await castor.metrics()).sum('castor_server_errors_total', 'reason="TARGET_CUT"'), 6)
  const kept = clients.filter(({ reader }) => !reader.ended)
  for (const client of kept) t.equal((await client.exchange(get('/'))).text, 'ok', 'the others serve on')
  for (const client of clients) client.close()
})

t.test(
  'requests that a killed target had not begun to answer are answered by another where that is safe',
  async (t) => {
    const targets = [await startTarget(t), await startTarget(t)]
    const [victim, survivor] = targets as [TargetProcess, TargetProcess]
    // Nothing is asked of the survivor that it never answers: it stands in for the victim, whose turn comes first.
    const castor = await startBalancer(
      t,
      onePair(
        'http',
        [
          { address: victim.address, weight: 100 },
          { address: survivor.address, weight: 1 },
        ],
        {
          group: { retries: { attempts: 1, budgetPercent: 100 } },
        },
      ),
      { accessLog: true },
    )
    const client = await RawClient.connect(castor.port)
    const post = client.exchange('POST /never HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi')
    await until(
      'the request at the target',
      async () => (await castor.metrics()).sum('castor_target_requests_total') === 1,
    )
    await until('its body there', async () => (await castor.metrics()).sum('castor_target_connections_active') === 1)
    victim.child.kill('SIGKILL')
    const answer = await post
    t.equal(answer.status, 502, 'a request that may have been acted on is not sent twice')
    const [record] = await castor.accessRecords(1)
    t.match(record, { status: 502, reason: 'TARGET_RESET', target: victim.address })
    const next = await request(castor.port, get('/'))
    t.equal(next.text, 'ok', 'the next one finds the survivor')
    client.close()
  },
)
