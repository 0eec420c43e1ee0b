import t from 'tap'
import { MemoryThread } from './memory-thread.js'

const GROUPS = ['one', 'two', 'three', 'four']

/** A browser's cookies, which are those of all ports of a host. */
function keep(jar: Map<string, string>, answer: string): void {
  for (const [, name, value] of answer.matchAll(/set-cookie: ([^=]+)=([^;]+)/gi)) jar.set(name!, value!)
}

t.test('rules without names that split keep their clients beside each other on one host', async (t) => {
  const memory = new MemoryThread({
    listeners: ['shop', 'blog'].map((name, i) => ({
      name,
      protocol: 'http',
      listen: `192.0.2.1:${80 + i}`,
      targetGroup: 'one',
      rules: [
        {
          match: { path: '/*' },
          forward: GROUPS.slice(2 * i, 2 * i + 2).map((targetGroup) => ({ targetGroup, weight: 1 })),
          stickySplit: '1h',
        },
      ],
    })),
    targetGroups: GROUPS.map((name, i) => ({
      name,
      protocol: 'http',
      healthCheck: { protocol: 'off' },
      targets: [{ address: `192.0.2.1${i}:80` }],
    })),
  })
  const jar = new Map<string, string>()
  const clients = [memory.connect(80), memory.connect(81)]
  const seen = [new Set<string>(), new Set<string>()]
  for (let round = 0; round < 8; round++) {
    for (const [i, client] of clients.entries()) {
      const from = client.received.length
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
      await memory.send(client, `GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; ${cookie}\r\n\r\n`)
      const answer = client.received.slice(from)
      keep(jar, answer)
      seen[i]!.add(answer.slice(answer.lastIndexOf('\n') + 1))
    }
  }
  t.same([...jar.keys()].sort(), ['CASTOR-SPLIT-blog-1', 'CASTOR-SPLIT-shop-1'])
  t.same(
    seen.map(({ size }) => size),
    [1, 1],
    'each client stays with its group',
  )
  for (const client of clients) client.conn.abort()
  await memory.settle()
})
