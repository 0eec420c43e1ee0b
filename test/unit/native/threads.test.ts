import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { RECORD_FD, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { nativeAddon } from '../../../src/native/addon.js'
import { NativeAcceptor } from '../../../src/net/native-acceptor.js'
import type { Ending, FromThread, ToThread } from './thread-of-connections.js'

const addon = nativeAddon()
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

/** The longest that a peer may be left in the dark once the thread is gone. */
const NOTICE_MS = 1_000
const CONNECTIONS = 20

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

/** Clients of this process close theirs a few turns later; what was left behind stays. */
async function descriptorsFallTo(count: number): Promise<number> {
  const deadline = performance.now() + NOTICE_MS
  while (openDescriptors() > count && performance.now() < deadline) await new Promise(setImmediate)
  return openDescriptors()
}

const exitOf = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('exit', resolve))

/** A thread with connections, seen from outside: its clients, and what it says. */
class Thread {
  readonly worker: Worker
  readonly clients: Socket[] = []
  readonly #told: FromThread[] = []

  constructor(wakerFd: number) {
    this.worker = new Worker(new URL('./thread-of-connections.js', import.meta.url), {
      workerData: wakerFd,
      resourceLimits: { maxOldGenerationSizeMb: 24 },
      stdout: true,
      stderr: true,
    })
    this.worker.on('message', (message: FromThread) => this.#told.push(message))
    // How it ends is not what this is about.
    this.worker.on('error', () => {})
  }

  send(message: ToThread): void {
    this.worker.postMessage(message)
  }

  async hear(what: FromThread): Promise<void> {
    while (!this.#told.includes(what)) await once(this.worker, 'message')
  }

  async connect(count: number): Promise<void> {
    const fds: number[] = []
    let all: () => void = () => {}
    const accepted = new Promise<void>((resolve) => {
      all = resolve
    })
    const listening = await new NativeAcceptor(addon!).listen(
      { address: '127.0.0.1', port: 0, backlog: 511, ipv6Only: true, deferAcceptSeconds: 0 },
      {
        onAccepted(batch) {
          for (let i = 0; i < batch.count; i++) fds.push(batch.records[i * RECORD_WORDS + RECORD_FD]!)
          if (fds.length === count) all()
        },
        onOutOfDescriptors() {},
      },
    )
    for (let i = 0; i < count; i++) this.clients.push(connect(listening.port, '127.0.0.1').on('error', () => {}))
    await accepted
    listening.close()
    this.send({ adopt: fds })
    await this.hear('adopted')
    await this.echo()
  }

  /** Every client gets back what it sends. */
  async echo(): Promise<void> {
    await Promise.all(
      this.clients.map(async (client, i) => {
        client.write(`hello ${i}`)
        const [chunk] = await once(client, 'data')
        if (String(chunk) !== `hello ${i}`) throw new Error(`client ${i} got ${chunk}`)
      }),
    )
  }

  closed(): Promise<unknown> {
    return Promise.all(this.clients.map((client) => new Promise((resolve) => client.once('close', resolve))))
  }
}

const ENDINGS: readonly (Ending | 'terminate')[] = [
  'terminate',
  'throw',
  'throw when woken',
  'exit',
  'reject',
  'memory',
  'busy in a handler',
]

t.test('a thread that ends closes its connections, nobody else’s, and not its waker', async (t) => {
  const steadyWaker = addon.openWaker()
  const steady = new Thread(steadyWaker)
  await steady.connect(3)
  for (const ending of ENDINGS) {
    const before = openDescriptors()
    const waker = addon.openWaker()
    const thread = new Thread(waker)
    await thread.connect(CONNECTIONS)
    t.equal(addon.wake(waker), 0)
    await thread.hear('woken')

    const closed = thread.closed()
    const exited = exitOf(thread.worker)
    if (ending === 'terminate') {
      await thread.worker.terminate()
    } else {
      thread.send({ ending })
      // Messages, wakes and bytes come by different ways: those two must not overtake what they are to find.
      if (ending === 'throw when woken') {
        await thread.hear('told')
        addon.wake(waker)
      }
      if (ending === 'busy in a handler') {
        await thread.hear('told')
        thread.clients[0]!.write('x')
        await thread.hear('busy')
        await thread.worker.terminate()
      }
    }
    await exited
    const since = performance.now()
    await closed
    const tookMs = performance.now() - since
    t.ok(tookMs < NOTICE_MS, `${ending}: its clients knew ${tookMs.toFixed(1)} ms later`)
    await steady.echo()

    t.equal(addon.wake(waker), 0, 'the waker is still open')
    const next = new Thread(waker)
    await next.hear('woken')
    t.pass('and what was said while nobody listened reaches the next thread')
    await next.worker.terminate()
    t.equal(addon.closeFd(waker, 0), 0)
    t.ok((await descriptorsFallTo(before)) <= before, 'no descriptor is left behind')
  }
  await steady.worker.terminate()
  addon.closeFd(steadyWaker, 0)
})

t.test('a thread that ends while it accepts closes its listening sockets', async (t) => {
  const before = openDescriptors()
  const worker = new Worker(new URL('./thread-that-listens.js', import.meta.url))
  const [ports] = (await once(worker, 'message')) as [number[]]
  const client = connect(ports[0]!, '127.0.0.1')
  await once(client, 'connect')
  const closed = new Promise((resolve) => client.on('error', () => {}).once('close', resolve))
  client.resume()
  await worker.terminate()
  await closed
  for (const port of ports) {
    const late = connect(port, '127.0.0.1')
    const [cause] = await once(late, 'error')
    t.equal(cause.code, 'ECONNREFUSED')
  }
  t.ok((await descriptorsFallTo(before)) <= before, 'no descriptor is left behind')
})
