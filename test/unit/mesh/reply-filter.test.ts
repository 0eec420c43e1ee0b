import t from 'tap'
import { MAX_FRAME_BYTES, ReplyFilter } from '../../../src/mesh/reply-filter.js'
import { SEED, seededRandom } from '../../random.js'

type Reply = string | number | null | Error | Buffer | readonly Reply[]

function resp(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`)
  if (Array.isArray(reply)) return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(resp)])
  const bytes = Buffer.from(reply as string | Buffer)
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}

const big = (bytes: number): string => 'x'.repeat(bytes)
const xread = (...entries: Reply[]): Reply => [['castor:{test}:stream', entries]]
const OK = Buffer.from('+OK\r\n')

/** What came in, and what the client is to see of it. */
const CASES: readonly (readonly [string, Reply, Reply])[] = [
  [
    'frames',
    xread(['1-0', ['f', big(200_000)]], ['1-1', ['f', 'y']]),
    xread(['1-0', ['f', big(200_000)]], ['1-1', ['f', 'y']]),
  ],
  [
    'a frame too long, between two',
    xread(['1-0', ['f', 'a']], ['1-1', ['f', big(MAX_FRAME_BYTES + 1)]], ['1-2', ['f', 'b']]),
    xread(['1-0', ['f', 'a']], ['1-1', ['f', '']], ['1-2', ['f', 'b']]),
  ],
  [
    'an entry of many fields',
    xread(['1-0', Array<string>(1_000).fill(big(2_000))], ['1-1', ['f', 'b']]),
    xread(['1-0', []], ['1-1', ['f', 'b']]),
  ],
  [
    'an entry with a list inside',
    xread(['1-0', ['f', [big(2_000), ['1-1', ['f', 'x']]], 'z']], ['1-2', ['f', 'b']]),
    xread(['1-0', []], ['1-2', ['f', 'b']]),
  ],
  [
    'fields that look like ids',
    xread(['1-0', ['9-9', big(9)]], ['1-1', ['9-9', 'x', 'y', 'z']]),
    xread(['1-0', ['9-9', big(9)]], ['1-1', []]),
  ],
  ['a long field name', xread(['1-0', [big(MAX_FRAME_BYTES + 1), 'v']]), xread(['1-0', ['', 'v']])],
  ['kept values', ['a', big(60_000), big(70_000), null, 'b'], ['a', big(60_000), '', null, 'b']],
  ['keys of SCAN', ['0', ['k', big(1_025), 'l']], ['0', ['k', '', 'l']]],
  ['a value by itself', big(70_000), ''],
  ['an error', new Error('NOPERM no'), new Error('NOPERM no')],
  ['slots of a cluster', [[0, 16383, ['127.0.0.1', 6379, 'id', []]]], [[0, 16383, ['127.0.0.1', 6379, 'id', []]]]],
  ['nothing', [], []],
]

t.test('what is too long is left out, and the answers around it are as they were', async (t) => {
  for (const [what, given, expected] of CASES) {
    const filter = new ReplyFilter()
    const seen = filter.next(Buffer.concat([OK, resp(given), OK]))
    t.ok(seen?.equals(Buffer.concat([OK, resp(expected), OK])), what)
  }
})

t.test('it does not matter where the answers are cut', async (t) => {
  t.comment(`CASTOR_SEED=${SEED}`)
  const random = seededRandom(SEED)
  const given = Buffer.concat(CASES.map(([, reply]) => resp(reply)))
  const expected = Buffer.concat(CASES.map(([, , reply]) => resp(reply)))
  for (let round = 0; round < 20; round++) {
    const filter = new ReplyFilter()
    const seen: Buffer[] = []
    const longest = random() < 0.5 ? 50 : 70_000
    for (let at = 0; at < given.length; ) {
      const end = at + 1 + Math.floor(random() * longest)
      seen.push(filter.next(given.subarray(at, end))!)
      at = end
    }
    t.ok(Buffer.concat(seen).equals(expected), `round ${round}`)
  }
})

t.test('of a value of gigabytes nothing is kept', async (t) => {
  const filter = new ReplyFilter()
  const chunk = Buffer.alloc(64 * 1024, 120)
  let seen = filter.next(
    Buffer.from('*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$4294967296\r\n'),
  )!.length
  for (let n = 0; n < 65_536; n++) seen += filter.next(chunk)!.length
  seen += filter.next(Buffer.from('\r\n+OK\r\n'))!.length
  t.equal(seen, '*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$0\r\n\r\n+OK\r\n'.length)
})

t.test('what is no RESP ends it', async (t) => {
  for (const bytes of [
    'HTTP/1.1 200 OK\r\n',
    '$x\r\n',
    '$-2\r\n',
    '*1e9\r\n',
    '*999999999\r\n',
    '$1\n',
    '%1\r\n',
    '\r\n',
    '*1\r\n'.repeat(100),
    `+${big(70_000)}`,
  ]) {
    t.equal(new ReplyFilter().next(Buffer.from(bytes)), undefined, JSON.stringify(bytes.slice(0, 20)))
  }
})
