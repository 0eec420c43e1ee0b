import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { onePair } from './support/balancer.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, ok, RawTarget, type TargetConnection } from './support/raw-target.js'
import { settled, until } from './support/until.js'
import { eventually, within } from './support/waiting.js'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const MAX_GROWTH = 16 * MIB
const BLOCK = randomBytes(MIB)

/** Sends `total` bytes, a block again and again, as fast as they are taken; `sent` counts those that were given away. */
class Sender {
  sent = 0
  constructor(socket: Socket, total: number, frame: (block: Buffer) => Buffer = (block) => block, end = '') {
    const more = (): void => {
      while (this.sent < total) {
        const length = Math.min(MIB, total - this.sent)
        this.sent += length
        if (!socket.write(frame(BLOCK.subarray(0, length)))) {
          socket.once('drain', more)
          return
        }
      }
      if (end !== '') socket.write(end)
    }
    more()
  }
}

/** Compares what comes with the block again and again. */
class Checker {
  received = 0
  wrong = 0
  take(data: Buffer): void {
    for (let at = 0; at < data.length; ) {
      const from = this.received % MIB
      const length = Math.min(data.length - at, MIB - from)
      if (BLOCK.compare(data, at, at + length, from, from + length) !== 0) this.wrong++
      at += length
      this.received += length
    }
  }
}

/** Resolves when the number has begun to move, and then has not moved for a while. */
async function still(what: string, number: () => number): Promise<void> {
  await until(`${what} beginning`, () => number() > 0, 20_000)
  await settled(what, number, 150, 20_000)
}

/** Looks at the memory of the process all the while, until the test ends. */
function watch(t: Test, castor: ChildCastor): () => number {
  const base = castor.residentBytes
  let peak = base
  const timer = setInterval(() => {
    peak = Math.max(peak, castor.residentBytes)
  }, 20)
  t.teardown(() => clearInterval(timer))
  return () => Math.max(peak, castor.residentBytes) - base
}

function noMoreThan(t: Test, growth: number, what: string): void {
  t.ok(growth < MAX_GROWTH, `${what}: memory grew by ${(growth / MIB).toFixed(1)} MiB`)
}

async function start(t: Test): Promise<{ castor: ChildCastor; target: RawTarget }> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return { castor: await startChild(t, onePair('http', [target.address])), target }
}

/** Reads the rest of a body without keeping it; resolves when `total` bytes of it were there. */
function drainInto(checker: Checker, client: RawClient, total: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.socket.removeAllListeners('data')
    client.socket.on('data', (data: Buffer) => {
      checker.take(data)
      if (checker.received >= total) resolve()
    })
    client.socket.on('close', () => reject(new Error(`closed after ${checker.received} bytes`)))
    client.socket.resume()
  })
}

const options = existsSync('/proc/self/status') ? {} : { skip: 'memory of a process is read from /proc' }

t.test(
  'a client that does not read its 1 GiB download holds the target back, then gets all of it',
  options,
  async (t) => {
    const { castor, target } = await start(t)
    let sender: Sender | undefined
    target.script = {
      answer: (request, connection) => {
        const total = Number(request.target.slice(1))
        connection.write(answer('200 OK', [`Content-Length: ${total}`]))
        sender = new Sender(connection.socket, total)
      },
    }
    const warm = await RawClient.connect(castor.port())
    await warm.exchange(get(`/${32 * MIB}`))
    warm.close()

    const growth = watch(t, castor)
    const client = await RawClient.connect(castor.port())
    client.send(get(`/${GIB}`))
    t.equal(await client.reader.line(), 'HTTP/1.1 200 OK')
    client.socket.pause()
    await still('the target', () => sender!.sent)
    t.ok(sender!.sent < 64 * MIB, `${sender!.sent / MIB} MiB left the target while nobody read`)
    noMoreThan(t, growth(), 'stalled')

    while ((await client.reader.line()) !== '');
    const checker = new Checker()
    checker.take(await client.reader.bytes(client.reader.waiting))
    await within('all of it', drainInto(checker, client, GIB), 60_000)
    t.equal(checker.received, GIB)
    t.equal(checker.wrong, 0, 'every byte is the one that was sent')
    noMoreThan(t, growth(), 'to its end')
    client.close()
  },
)

t.test('the same for a chunked response', options, async (t) => {
  const { castor, target } = await start(t)
  let sender: Sender | undefined
  const chunk = (block: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${block.length.toString(16)}\r\n`), block, Buffer.from('\r\n')])
  target.script = {
    answer: (request, connection) => {
      connection.write(answer('200 OK', ['Transfer-Encoding: chunked']))
      sender = new Sender(connection.socket, Number(request.target.slice(1)), chunk, '0\r\n\r\n')
    },
  }
  const client = await RawClient.connect(castor.port())
  await client.exchange(get(`/${32 * MIB}`))
  const growth = watch(t, castor)
  client.send(get(`/${128 * MIB}`))
  t.equal(await client.reader.line(), 'HTTP/1.1 200 OK')
  client.socket.pause()
  await still('the target', () => sender!.sent)
  t.ok(sender!.sent < 64 * MIB, `${sender!.sent / MIB} MiB left the target while nobody read`)
  noMoreThan(t, growth(), 'stalled')
  client.close()
  await target.connections[0]!.ending()
})

t.test('a target that does not read a 1 GiB upload holds the client back, then gets all of it', options, async (t) => {
  const { castor, target } = await start(t)
  const checker = new Checker()
  let receiving: TargetConnection | undefined
  let begin = (): void => {}
  const upload = (total: number): void => {
    target.script = {
      onHead: (_, connection) => {
        receiving = connection
        connection.socket.pause()
        connection.socket.removeAllListeners('data')
        begin = () => {
          void connection.reader.bytes(connection.reader.waiting).then((early) => {
            checker.take(early)
            if (checker.received === total) connection.write(ok('all'))
            connection.socket.on('data', (data: Buffer) => {
              checker.take(data)
              if (checker.received === total) connection.write(ok('all'))
            })
            connection.socket.resume()
          })
        }
        return false
      },
    }
  }
  const post = (total: number): string => get('/', [`Content-Length: ${total}`, 'Expect: 100-continue'], 'POST')

  upload(32 * MIB)
  const warm = await RawClient.connect(castor.port())
  warm.send(post(32 * MIB))
  await target.connected(1)
  await eventually('the head is there', () => receiving !== undefined)
  begin()
  new Sender(warm.socket, 32 * MIB)
  await warm.response('POST', 60_000)
  warm.close()
  receiving!.reset()
  receiving = undefined
  checker.received = 0

  const growth = watch(t, castor)
  upload(GIB)
  const client = await RawClient.connect(castor.port())
  client.send(post(GIB))
  await eventually('the head is there', () => receiving !== undefined)
  const sender = new Sender(client.socket, GIB)
  await still('the client', () => sender.sent)
  t.ok(sender.sent < 64 * MIB, `${sender.sent / MIB} MiB left the client while nobody read`)
  noMoreThan(t, growth(), 'stalled')

  begin()
  t.equal((await client.response('POST', 60_000)).text, 'all')
  t.equal(checker.received, GIB)
  t.equal(checker.wrong, 0, 'every byte is the one that was sent')
  noMoreThan(t, growth(), 'to its end')
  client.close()
})

t.test(
  'a client that pipelines thousands of requests and reads nothing does not make memory grow',
  options,
  async (t) => {
    const { castor, target } = await start(t)
    const body = 'x'.repeat(8_192)
    target.script = { answer: (request, connection) => connection.write(ok(request.target + body)) }
    const count = 5_000
    const client = await RawClient.connect(castor.port())
    await client.exchange(get('/warm'))
    const growth = watch(t, castor)
    client.socket.pause()
    for (let i = 0; i < count; i++) client.send(get(`/${i}`))
    await still('the target', () => target.requests.length - 1)
    t.ok(
      target.requests.length < count / 2,
      `${target.requests.length} requests were fetched for a client that reads none`,
    )
    noMoreThan(t, growth(), 'stalled')
    client.socket.resume()
    for (let i = 0; i < count; i++) {
      const { text } = await client.response()
      if (text !== `/${i}${body}`) t.fail(`answer ${i} is another: ${text.slice(0, 20)}`)
    }
    t.equal(target.requests.length, count + 1)
    noMoreThan(t, growth(), 'to its end')
    client.close()
  },
)
