import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { connect, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { AcceptedBatch, Listening, ListenSpec } from '../../src/core/acceptor.js'
import type { Endpoint } from '../../src/core/conn.js'
import { RECORD_FD, RECORD_WORDS, recordPeer } from '../../src/core/connection-record.js'
import { CastorError } from '../../src/core/errors.js'
import { nativeAddon } from '../../src/native/addon.js'
import { ACCEPTORS } from './acceptor-implementations.js'
import { HAS_IPV6 } from './conn-rigs.js'
import type { Tale } from './starving-acceptor.js'

/** Of an acceptor without descriptors: as many as are measured. */
const PAUSES = 8

const SPEC: ListenSpec = { address: '127.0.0.1', port: 0, backlog: 1_024, ipv6Only: true, deferAcceptSeconds: 0 }

/** An accepted connection: a descriptor, or −1 and an object. */
interface Accepted {
  readonly fd: number
  readonly socket: unknown
}

/** Everything an acceptor reported, in order; connections stay open until `close`. */
class Reported {
  readonly peers: Endpoint[] = []
  readonly batches: number[] = []
  readonly held: Accepted[] = []
  readonly #waiting = new Set<() => void>()
  onBatch: (batch: AcceptedBatch) => void = () => {}

  readonly onAccepted = (batch: AcceptedBatch): void => {
    this.batches.push(batch.count)
    for (let i = 0; i < batch.count; i++) {
      this.peers.push(recordPeer(batch.records, i * RECORD_WORDS))
      this.held.push({ fd: batch.records[i * RECORD_WORDS + RECORD_FD]!, socket: batch.sockets?.[i] })
    }
    this.onBatch(batch)
    for (const look of [...this.#waiting]) look()
  }

  onOutOfDescriptors(): void {}

  get ports(): number[] {
    return this.peers.map(({ port }) => port)
  }

  until(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.peers.length < count) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** The oldest that is held, as a socket of Node's. */
  take(): Socket {
    const { fd, socket } = this.held.shift()!
    return fd >= 0 ? new Socket({ fd }) : (socket as Socket)
  }

  close(): void {
    for (const { fd, socket } of this.held.splice(0)) {
      if (fd >= 0) nativeAddon()!.closeFd(fd, 0)
      else (socket as Socket).destroy()
    }
  }
}

/** A client that is connected as far as its own system knows. */
async function client(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host })
  socket.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return socket
}

/** Resolves when a client's connection is over, in whatever way. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.resume().once('close', () => resolve()))
}

for (const [name, { available, native, make }] of Object.entries(ACCEPTORS)) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    let reported: Reported
    const open: { close(): void }[] = []
    const clients: Socket[] = []
    t.beforeEach(() => {
      reported = new Reported()
    })
    t.afterEach(() => {
      for (const listening of open.splice(0)) listening.close()
      for (const socket of clients.splice(0)) socket.destroy()
      reported.close()
    })

    async function listen(spec: Partial<ListenSpec> = {}, events = reported): Promise<Listening> {
      const listening = await make().listen({ ...SPEC, ...spec }, events)
      open.push(listening)
      return listening
    }
    async function dial(port: number, host?: string): Promise<Socket> {
      const socket = await client(port, host)
      clients.push(socket)
      return socket
    }
    /** A connection through another acceptor: what came before it has been seen. */
    async function settle(): Promise<void> {
      const other = new Reported()
      const { port } = await listen({}, other)
      await dial(port)
      await other.until(1)
      other.close()
    }

    t.test('port 0 takes a free one and says which, also once it is closed', async (t) => {
      const one = await listen()
      const two = await listen()
      t.equal(one.address, '127.0.0.1')
      t.ok(one.port > 0 && two.port > 0 && one.port !== two.port)
      const { port } = one
      one.close()
      t.equal(one.port, port)
      t.equal(one.address, '127.0.0.1')
    })

    t.test('each connection is reported once, with its address and something to adopt', async (t) => {
      const { port } = await listen()
      const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(port)))
      await reported.until(20)
      await settle()
      t.same(reported.ports.sort(), sockets.map(({ localPort }) => localPort).sort())
      for (const { family, address } of reported.peers) t.same({ family, address }, { family: 4, address: '127.0.0.1' })
      for (const { fd, socket } of reported.held) {
        t.equal(fd >= 0, native)
        t.equal(socket !== undefined, !native)
      }
    })

    t.test('IPv6 clients have IPv6 addresses', { skip: !HAS_IPV6 }, async (t) => {
      const { address, port } = await listen({ address: '::1' })
      t.equal(address, '::1')
      const socket = await dial(port, '::1')
      await reported.until(1)
      t.same(reported.peers, [{ family: 6, address: '::1', port: socket.localPort }])
    })

    t.test('an IPv6 socket takes IPv4 clients as it is told', { skip: !HAS_IPV6 }, async (t) => {
      const both = await listen({ address: '::', ipv6Only: false })
      const socket = await dial(both.port, '127.0.0.1')
      await reported.until(1)
      t.same(reported.peers, [{ family: 4, address: '127.0.0.1', port: socket.localPort }])
      const only = await listen({ address: '::', ipv6Only: true })
      await t.rejects(client(only.port, '127.0.0.1'), { code: 'ECONNREFUSED' })
    })

    t.test('a burst of 500 is reported whole', async (t) => {
      const { port } = await listen()
      const sockets = await Promise.all(Array.from({ length: 500 }, () => dial(port)))
      await reported.until(500)
      await settle()
      t.equal(reported.peers.length, 500)
      t.same(new Set(reported.ports), new Set(sockets.map(({ localPort }) => localPort)))
    })

    t.test(
      'while paused connections wait, and then come in the order of their arrival, with what they sent',
      async (t) => {
        const listening = await listen()
        listening.pause()
        listening.pause()
        const sockets: Socket[] = []
        for (let i = 0; i < 10; i++) sockets.push(await dial(listening.port))
        sockets[0]!.write('early')
        await settle()
        t.equal(reported.peers.length, 0)
        listening.resume()
        listening.resume()
        await reported.until(10)
        t.same(
          reported.ports,
          sockets.map(({ localPort }) => localPort),
        )
        const adopted = reported.take()
        const [chunk] = await once(adopted.resume(), 'data')
        t.equal(String(chunk), 'early')
        adopted.destroy()
      },
    )

    t.test('a pause from within the report loses nothing', async (t) => {
      const listening = await listen()
      reported.onBatch = () => listening.pause()
      listening.pause()
      for (let i = 0; i < 5; i++) await dial(listening.port)
      while (reported.peers.length < 5) {
        const before = reported.peers.length
        listening.resume()
        await reported.until(before + 1)
      }
      await dial(listening.port)
      await settle()
      t.equal(reported.peers.length, 5, 'paused by the last one')
      listening.resume()
      await reported.until(6)
    })

    t.test(
      'close refuses new clients, turns waiting ones away, keeps those it has reported, twice as once',
      async (t) => {
        const listening = await listen()
        const kept = await dial(listening.port)
        await reported.until(1)
        listening.pause()
        const waiting = await dial(listening.port)
        const gone = closed(waiting)
        await settle()
        listening.close()
        listening.close()
        await gone
        listening.pause()
        listening.resume()
        await t.rejects(client(listening.port), { code: 'ECONNREFUSED' })
        await settle()
        t.equal(reported.peers.length, 1)
        t.equal(kept.destroyed || kept.readableEnded, false)
      },
    )

    t.test('it may be closed from within the report', async (t) => {
      const listening = await listen()
      reported.onBatch = () => listening.close()
      await dial(listening.port)
      await reported.until(1)
      await t.rejects(client(listening.port), { code: 'ECONNREFUSED' })
    })

    t.test('whoever waits in the queue when it closes is reported first', { skip: !native }, async (t) => {
      const count = 150
      const listening = await listen()
      // Over loopback they are connected as soon as they have asked, before the loop turns.
      for (let i = 0; i < count; i++) clients.push(connect(listening.port, '127.0.0.1'))
      await new Promise<void>((resolve) =>
        process.nextTick(() => {
          listening.close()
          resolve()
        }),
      )
      t.equal(reported.peers.length, count)
      const client = clients[0]!
      const server = reported.take()
      server.end('served')
      const [data] = await once(client, 'data')
      t.equal(String(data), 'served')
    })

    t.test('discard closes the connection', async (t) => {
      const listening = await listen()
      // Every other one is kept.
      reported.onBatch = (batch) => {
        for (let i = 0; i < batch.count; i++) {
          if (reported.peers.length % 2 === 0) continue
          reported.held.pop()
          batch.discard(i)
        }
      }
      const over: number[] = []
      const gone: Promise<unknown>[] = []
      for (let count = 1; count <= 4; count++) {
        const socket = connect({ port: listening.port, host: '127.0.0.1' }).on('error', () => {})
        clients.push(socket)
        gone.push(closed(socket).then(() => over.push(count)))
        await reported.until(count)
      }
      await Promise.all([gone[0], gone[2]])
      await settle()
      t.same(over.sort(), [1, 3])
    })

    t.test('what cannot be listened on says where and why', async (t) => {
      const taken = await listen()
      const cases: [Partial<ListenSpec>, RegExp][] = [
        [{ port: taken.port }, new RegExp(`127\\.0\\.0\\.1 port ${taken.port}: EADDRINUSE`)],
        [{ address: '192.0.2.1' }, /192\.0\.2\.1 port 0: EADDRNOTAVAIL/],
        [{ address: 'localhost' }, /localhost port 0: EINVAL/],
        [{ address: '256.0.0.1' }, /256\.0\.0\.1 port 0: EINVAL/],
        [{ address: '' }, /EINVAL/],
        [{ port: 65_536 }, /127\.0\.0\.1 port 65536: EINVAL/],
        [{ port: -1 }, /port -1: EINVAL/],
        [{ fd: 1_000_000 }, /E(BADF|INVAL)/],
      ]
      if (process.getuid?.() !== 0) cases.push([{ port: 81 }, /127\.0\.0\.1 port 81: EACCES/])
      for (const [spec, message] of cases) {
        const cause = await listen(spec).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        t.ok(cause instanceof CastorError, JSON.stringify(spec))
        t.match(cause, { code: 'LISTEN_FAILED', message })
      }
    })

    t.test('a descriptor that listens already is taken over', { skip: nativeAddon() === undefined }, async (t) => {
      const fd = nativeAddon()!.listenTcp('127.0.0.1', 0, 10, 1, 0)
      const listening = await listen({ fd, address: '127.0.0.1' })
      const socket = await dial(listening.port)
      await reported.until(1)
      t.same(reported.ports, [socket.localPort])
      listening.close()
      await t.rejects(client(listening.port), { code: 'ECONNREFUSED' })
    })

    t.test('with deferred accepting a client is reported when it speaks', { skip: !native }, async (t) => {
      const { port } = await listen({ deferAcceptSeconds: 30 })
      const socket = await dial(port)
      await settle()
      t.equal(reported.peers.length, 0)
      socket.write('x')
      await reported.until(1)
      t.same(reported.ports, [socket.localPort])
    })

    t.test('out of descriptors it neither spins nor dies, and goes on when there are some', async (t) => {
      const file = fileURLToPath(new URL('./starving-acceptor.js', import.meta.url))
      const child = spawn('sh', ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath, file, name], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      t.teardown(() => child.kill())
      const exited = once(child, 'exit')
      const tales: Tale[] = []
      const told = new EventEmitter()
      createInterface({ input: child.stdout })
        .on('line', (line) => {
          tales.push(JSON.parse(line))
          told.emit('tale')
        })
        .on('close', () => told.listenerCount('tale') > 0 && told.emit('error', new Error('the process is gone')))
      const find = <T extends Tale['type']>(type: T) =>
        tales.filter((tale): tale is Extract<Tale, { type: T }> => tale.type === type)
      const until = async (holds: () => boolean): Promise<void> => {
        while (!holds()) await once(told, 'tale')
      }
      await until(() => find('listening').length > 0)
      const { port } = find('listening')[0]!

      // More than there is room for; whoever is turned away comes again, so that there is always somebody waiting.
      let turnedAway = 0
      let pressing = true
      const press = (): void => {
        const socket = connect({ port, host: '127.0.0.1' })
        clients.push(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          turnedAway++
          told.emit('tale')
          if (pressing) setImmediate(press)
        })
        socket.resume()
      }
      for (let i = 0; i < 8; i++) press()

      if (native) {
        await until(() => find('starved').length > PAUSES)
        const begin = find('starved')[0]!
        const end = find('starved')[PAUSES]!
        const wallMs = end.wallMs - begin.wallMs
        // Half of them: on a busy machine the first report may run long after its pause has begun.
        t.ok(wallMs >= (PAUSES * begin.pausedMs) / 2, `it stood still for ${wallMs} ms`)
        t.ok(end.cpuMs - begin.cpuMs < wallMs / 2, `at ${end.cpuMs - begin.cpuMs} ms of processor time`)
      } else {
        await until(() => turnedAway >= 20)
      }
      await until(() => find('accepted').length > 0)
      pressing = false

      child.stdin.write('free\n')
      await until(() => find('freed').length > 0)
      // One that comes within the pause may still be turned away.
      const heardOf = ({ localPort }: Socket): boolean =>
        find('accepted').some(({ peerPort }) => peerPort === localPort)
      for (let late = await dial(port); !heardOf(late); ) {
        let over = false
        void closed(late).then(() => {
          over = true
          told.emit('tale')
        })
        await until(() => over || heardOf(late))
        if (over) late = await dial(port)
      }
      t.pass('accepted again')
      child.stdin.write('stop\n')
      const [code] = await exited
      t.equal(code, 0)
    })
  })
}
