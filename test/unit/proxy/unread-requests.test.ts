import t from 'tap'
import { MemoryCastor, type TargetPeer } from '../../fuzz/memory-castor.js'

/*
 * A request goes into a connection that its target has closed, and whose end has not arrived yet. In memory, where the
 * balancer can be kept from looking ahead.
 */

const GET = Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
const BIG = 'x'.repeat(9_000)

const CASES: readonly [
  what: string,
  how: 'close' | 'end' | 'abort',
  pieces: readonly string[],
  sent: 'again' | 'once',
][] = [
  ['a POST', 'close', ['POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody'], 'again'],
  ['a POST in pieces', 'close', ['POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n', 'bo', 'dy'], 'again'],
  ['a POST without a body', 'close', ['POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'], 'again'],
  ['a method nobody knows', 'close', ['BREW /p HTTP/1.1\r\nHost: h\r\n\r\n'], 'again'],
  ['a GET', 'close', ['GET /p HTTP/1.1\r\nHost: h\r\n\r\n'], 'again'],
  ['a POST that the target has received', 'end', ['POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'], 'once'],
  [
    'a body that is too long to keep',
    'close',
    [`POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n${BIG}`],
    'once',
  ],
  [
    'a chunked body',
    'close',
    ['POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'],
    'once',
  ],
]

t.test(
  'a request that met the end of its connection is sent again where its target has had nothing of it',
  async (t) => {
    for (const [what, how, pieces, sent] of CASES) {
      t.test(`${what}: ${sent}`, async (t) => {
        const castor = new MemoryCastor({ blind: true })
        castor.begin()
        const client = castor.exchange([GET])
        t.match(client.received, /^HTTP\/1\.1 200 /)
        const [first] = castor.targets as [TargetPeer]
        client.send(pieces[0]!)
        // Behind the request, so that the connection is taken before its end is read.
        first.conn[how]()
        castor.transport.flush()
        for (const piece of pieces.slice(1)) client.send(piece)
        castor.transport.flush()
        const answer = client.received.slice(client.received.indexOf('answer 0') + 'answer 0'.length)
        t.match(answer, sent === 'again' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 502 /)
        t.equal(castor.targets.length, sent === 'again' ? 2 : 1)
        if (sent === 'again') {
          const [request] = castor.targets[1]!.reader.requests
          t.match(request!.head, /^[A-Z]+ \/p /)
          t.equal(request!.body, what.startsWith('a POST') && pieces.join('').endsWith('body') ? 'body' : '')
        }
        castor.close(client)
      })
    }
  },
)
