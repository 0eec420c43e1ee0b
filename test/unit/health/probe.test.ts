import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { SystemClock } from '../../../src/core/clock.js'
import type { Transport } from '../../../src/core/conn.js'
import type { HealthReason } from '../../../src/core/target-state.js'
import { HttpDialogue } from '../../../src/health/http-dialogue.js'
import { Probe, type ProbeDialogue, TCP_DIALOGUE } from '../../../src/health/probe.js'
import { nativeAddon } from '../../../src/native/addon.js'
import { NativeTransport } from '../../../src/net/native-transport.js'
import { SocketTransport } from '../../../src/net/socket-transport.js'

type Test = typeof t

const streams = new SocketTransport(new SystemClock())
const addon = nativeAddon()
const native =
  addon === undefined
    ? undefined
    : new NativeTransport(addon, new SystemClock(), (fault) => {
        throw fault
      })
t.teardown(() => {
  streams.dispose()
  native?.dispose()
})

const TRANSPORTS: readonly [string, Transport | undefined][] = [
  ['the native transport', native],
  ['the socket transport', streams],
]

const CHECK = { path: '/', host: '', version: '1.1', codes: [[200, 399]], tolerate: 0 } as const
const http = (path = '/'): ProbeDialogue => new HttpDialogue({ ...CHECK, path }, '127.0.0.1')
/** More than the kernel takes of a request that nobody reads. */
const HUGE_PATH = `/${'x'.repeat(16 * 1024 * 1024)}`

async function listening(t: Test, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = []
  const server: Server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** One probe, which runs out of time when `expired` settles. */
function probed(
  dialogue: ProbeDialogue,
  dial: (probe: Probe) => ReturnType<Transport['dial']>,
  expired?: Promise<unknown>,
): Promise<HealthReason | 'NOT_MADE'> {
  return new Promise((resolve) => {
    let results = 0
    const probe = new Probe(dialogue, (reason) => {
      if (++results === 1) setImmediate(() => resolve(results === 1 ? (reason ?? 'NOT_MADE') : 'NONE'))
    })
    probe.attach(dial(probe))
    void expired?.then(() => probe.expire())
  })
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

interface Case {
  readonly what: string
  readonly reason: HealthReason
  readonly path?: string
  readonly target: (socket: Socket) => void
  /** The probe's time is over as soon as the target has the connection. */
  readonly expires?: boolean
}

const CASES: readonly Case[] = [
  {
    what: 'answers well',
    reason: 'NONE',
    target: (socket) => socket.resume().once('data', () => socket.write(OK)),
  },
  {
    what: 'resets while a request is being sent to it',
    reason: 'REQUEST_FAILED',
    path: HUGE_PATH,
    target: (socket) => socket.once('data', () => socket.resetAndDestroy()).resume(),
  },
  {
    what: 'takes no more of a request',
    reason: 'REQUEST_TIMEOUT',
    path: HUGE_PATH,
    target: () => {},
    expires: true,
  },
  {
    what: 'resets after the request',
    reason: 'RECEIVE_RESPONSE_FAILED',
    target: (socket) => socket.once('data', () => socket.resetAndDestroy()).resume(),
  },
  {
    what: 'closes in the middle of its answer',
    reason: 'RECEIVE_RESPONSE_FAILED',
    target: (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-')).resume(),
  },
  {
    what: 'does not answer',
    reason: 'RECEIVE_RESPONSE_TIMEOUT',
    target: () => {},
    expires: true,
  },
  {
    what: 'answers another status',
    reason: 'HTTP_CODE_MISMATCH',
    target: (socket) => socket.once('data', () => socket.write('HTTP/1.1 404 No\r\n\r\n')).resume(),
  },
  {
    what: 'speaks without end and answers nothing',
    reason: 'RESPONSE_FORMAT_ERROR',
    target: (socket) => {
      const interim = 'HTTP/1.1 102 Wait\r\n\r\n'.repeat(1_000)
      const more = (): void => {
        while (!socket.destroyed && socket.write(interim));
      }
      socket.on('drain', more).resume()
      more()
    },
  },
  {
    what: 'speaks something else',
    reason: 'RESPONSE_FORMAT_ERROR',
    target: (socket) => socket.write('SSH-2.0-x\r\n\r\n'),
  },
]

for (const [name, transport] of TRANSPORTS) {
  for (const { what, reason, path, target, expires } of CASES) {
    t.test(`over ${name} a target that ${what} is called ${reason}`, { skip: transport === undefined }, async (t) => {
      let reached: () => void = () => {}
      const expired = new Promise<void>((resolve) => (reached = resolve))
      const port = await listening(t as Test, (socket) => {
        target(socket)
        // With a first part of the request it is neither the connect nor the dial that takes too long.
        const hasPart = (): void => {
          socket.pause()
          reached()
        }
        if (expires === true) socket.once('data', hasPart).resume()
      })
      const dial = (probe: Probe) => transport!.dial('127.0.0.1', port, probe)
      t.equal(await probed(http(path), dial, expires === true ? expired : undefined), reason)
    })
  }

  t.test(
    `over ${name} a target that refuses is called CONNECT_FAILED`,
    { skip: transport === undefined },
    async (t) => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      server.close()
      await once(server, 'close')
      t.equal(await probed(TCP_DIALOGUE, (probe) => transport!.dial('127.0.0.1', port, probe)), 'CONNECT_FAILED')
    },
  )

  t.test(
    `over ${name} a target that accepts and resets before anybody looks is called CONNECT_INTERRUPT`,
    { skip: transport === undefined },
    async (t) => {
      const state = new Int32Array(new SharedArrayBuffer(4))
      const worker = new Worker(RESETTING, { eval: true, workerData: state })
      t.teardown(() => worker.terminate())
      const [port] = (await once(worker, 'message')) as [number]
      const result = probed(TCP_DIALOGUE, (probe) => {
        const conn = transport!.dial('127.0.0.1', port, probe)
        // This thread looks at nothing until the target has done it. Node begins to connect in the next tick.
        process.nextTick(() => t.not(Atomics.wait(state, 0, 0, 10_000), 'timed-out'))
        return conn
      })
      t.equal(await result, 'CONNECT_INTERRUPT')
    },
  )
}

const RESETTING = `
const { createServer } = require('node:net')
const { parentPort, workerData: state } = require('node:worker_threads')
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('close', () => { Atomics.store(state, 0, 1); Atomics.notify(state, 0) })
  socket.resetAndDestroy()
}).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

const TLS: readonly [string, HealthReason, (socket: Socket) => void, boolean][] = [
  ['closes in the middle of the handshake', 'CONNECT_INTERRUPT', (s) => s.once('data', () => s.end()).resume(), false],
  ['resets in it', 'CONNECT_INTERRUPT', (s) => s.once('data', () => s.resetAndDestroy()).resume(), false],
  ['does not go on with it', 'CONNECT_TIMEOUT', () => {}, true],
  ['speaks no TLS', 'CONNECT_FAILED', (s) => s.once('data', () => s.end('SSH-2.0-x\r\n\r\n')).resume(), false],
]

for (const [what, reason, target, expires] of TLS) {
  t.test(`over TLS a target that ${what} is called ${reason}`, async (t) => {
    let reached: () => void = () => {}
    const expired = new Promise<void>((resolve) => (reached = resolve))
    const port = await listening(t as Test, (socket) => {
      target(socket)
      reached()
    })
    const dial = (probe: Probe) => streams.dialTls('127.0.0.1', port, { serverName: 'a.example', verify: false }, probe)
    t.equal(await probed(http(), dial, expires ? expired : undefined), reason)
  })
}

t.test('a target without an address is called CONNECT_FAILED', async (t) => {
  const reason = await new Promise((resolve) => new Probe(TCP_DIALOGUE, resolve).unreachable())
  t.equal(reason, 'CONNECT_FAILED')
})
