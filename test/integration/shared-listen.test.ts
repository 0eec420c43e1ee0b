import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, createServer, get } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Status } from '../../src/admin/status-shape.js'
import type { FromBalancer, ToBalancer } from './balancer-process.js'

const WITHOUT_ADDON = { ...process.env, CASTOR_NATIVE: 'off' }
const WARNING = /the native addon is not there/

/** A target that says what it was asked for, and a configuration with it. */
async function setUp(t: Test): Promise<string> {
  const target = createServer((request, response) => response.end(`you asked for ${request.url}`))
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  t.teardown(() => target.close())
  t.teardown(() => target.closeAllConnections())
  const file = join(t.testdir(), 'castor.yaml')
  writeFileSync(
    file,
    `
workers: 2
log: { access: off }
admin: { listen: 127.0.0.1:0 }
shutdownTimeout: 5s
listeners:
  - { name: web, protocol: http, listen: 127.0.0.1:0, targetGroup: app }
targetGroups:
  - name: app
    protocol: http
    targets: [{ address: 127.0.0.1:${(target.address() as AddressInfo).port} }]
`,
  )
  return file
}

async function ask(port: number, path: string, agent: Agent | false = false): Promise<string> {
  const request = get({ host: '127.0.0.1', port, path, agent })
  const [response] = await once(request, 'response')
  return text(response)
}

/** A kept-alive connection that asks and reads its answers by itself, so that its end is seen. */
class Client {
  readonly socket: Socket
  gone = false
  #received = ''
  #waiting: () => void = () => {}

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk) => {
      this.#received += chunk
      this.#waiting()
    })
    this.socket.on('close', () => {
      this.gone = true
      this.#waiting()
    })
  }

  /** False when the connection ended instead. */
  async ask(path: string): Promise<boolean> {
    this.#received = ''
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: castor.test\r\n\r\n`)
    while (!this.gone && !this.#received.endsWith(`you asked for ${path}`)) await this.#change()
    return !this.gone
  }

  async untilGone(): Promise<void> {
    while (!this.gone) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }
}

/** The balancer in a process of its own. */
class Balancer {
  readonly child: ChildProcess
  readonly exited: Promise<unknown[]>
  log = ''
  port = 0
  #adminPort = 0

  constructor(file: string) {
    const entry = fileURLToPath(new URL('./balancer-process.js', import.meta.url))
    this.child = fork(entry, [file], { env: WITHOUT_ADDON, silent: true })
    this.exited = once(this.child, 'exit')
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk) => {
        this.log += chunk
      })
    }
  }

  async started(): Promise<void> {
    const [{ port, adminPort }] = (await once(this.child, 'message')) as [FromBalancer]
    this.port = port
    this.#adminPort = adminPort
  }

  send(message: ToBalancer): void {
    this.child.send(message)
  }

  async status(): Promise<Status> {
    return JSON.parse(await ask(this.#adminPort, '/api/v1/status')) as Status
  }

  /** Opens connections until every worker has some; the kernel decides which gets which. */
  async clientsOnEveryWorker(clients: Client[]): Promise<Status> {
    for (;;) {
      const more = Array.from({ length: 5 }, () => new Client(this.port))
      clients.push(...more)
      await Promise.all(more.map((client) => client.ask('/hello')))
      const status = await this.status()
      if (status.workers.every(({ connections }) => connections > 0)) return status
    }
  }
}

t.test('without the addon two threads share the listening socket, and one may die', async (t) => {
  const balancer = new Balancer(await setUp(t))
  t.teardown(() => balancer.child.kill('SIGKILL'))
  await balancer.started()
  t.match(balancer.log, WARNING)

  const clients: Client[] = []
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy()
  })
  const before = await balancer.clientsOnEveryWorker(clients)
  t.same(
    before.workers.map(({ state, restarts }) => ({ state, restarts })),
    [
      { state: 'running', restarts: 0 },
      { state: 'running', restarts: 0 },
    ],
  )
  const answered = await Promise.all(clients.map((client, i) => client.ask(`/page/${i}`)))
  t.ok(answered.every(Boolean), `${clients.length} connections, each answered twice`)

  const doomed = before.workers[0]!.connections
  balancer.send({ kill: 1 })
  while (clients.filter(({ gone }) => gone).length < doomed) {
    await Promise.race(clients.filter(({ gone }) => !gone).map((client) => client.untilGone()))
  }
  const left = clients.filter(({ gone }) => !gone)
  t.equal(left.length, clients.length - doomed, 'the dead thread’s connections are gone')
  const alive = await Promise.all(left.map((client) => client.ask('/still/there')))
  t.ok(alive.every(Boolean), 'and only those')

  // New connections are served all the while; sooner or later by the thread that came in its place as well.
  const after = await balancer.clientsOnEveryWorker(clients)
  t.same(
    after.workers.map(({ state, restarts }) => ({ state, restarts })),
    [
      { state: 'running', restarts: 1 },
      { state: 'running', restarts: 0 },
    ],
  )
  t.match(balancer.log, /a proxy thread died/)

  balancer.send('stop')
  const [code, signal] = await balancer.exited
  t.same([code, signal], [0, null], 'stopped cleanly')
  await Promise.all(clients.map((client) => client.untilGone()))
  const late = connect(balancer.port, '127.0.0.1')
  const [cause] = await once(late, 'error')
  t.equal(cause.code, 'ECONNREFUSED')
})

t.test('the command runs without the addon, says so, and stops when it is asked to', async (t) => {
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'start', '-c', await setUp(t)], {
    env: WITHOUT_ADDON,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const warnings = text(child.stderr)
  let port = 0
  for await (const line of createInterface({ input: child.stdout })) {
    port = Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1])
    if (port > 0) break
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(port, `/${i}`, agent)))
  t.same(
    answers,
    answers.map((_, i) => `you asked for /${i}`),
  )
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.match(await warnings, WARNING)
})
