import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { onePair } from './support/balancer.js'
import { ChildCastor, type ChildOptions, configFile, MAIN } from './support/child-castor.js'
import { pipelinedLoad } from './support/pipelined-load.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { refusingAddress } from './support/tcp-peers.js'
import { until } from './support/until.js'

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_RDWR } = constants

interface Pipe {
  /** For the balancer to write to. */
  readonly fd: number
  /** The reader goes away. */
  readerLeaves(): void
}

/** A named pipe with a reader that reads nothing. */
async function pipe(t: Test): Promise<Pipe> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, O_RDONLY | O_NONBLOCK)
  const fd = openSync(path, O_WRONLY)
  let open = true
  const readerLeaves = (): void => {
    if (open) closeSync(reader)
    open = false
  }
  t.teardown(() => {
    readerLeaves()
    closeSync(fd)
  })
  return { fd, readerLeaves }
}

/** The same, with nothing left to write to. */
async function fullPipe(t: Test): Promise<number> {
  const { fd } = await pipe(t)
  const own = openSync(`/proc/self/fd/${fd}`, O_RDWR | O_NONBLOCK)
  try {
    for (;;) writeSync(own, Buffer.alloc(4_096))
  } catch {
    closeSync(own)
  }
  return fd
}

/** Writes to standard output and standard error in every thread that it is loaded in. */
async function noisyModule(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'noise.cjs')
  await writeFile(file, `setInterval(() => { console.log('noise'); console.error('noise') }, 10).unref()\n`)
  return file
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))

/** A balancer whose standard streams may tell nothing: its ports are chosen beforehand. Answers wait for `answer()`. */
async function start(t: Test, options: ChildOptions, shutdownTimeout = '20s') {
  const waiting: (() => void)[] = []
  const target = await RawTarget.start({
    answer: (asked, connection) => {
      const answer = (): void => {
        connection.write(ok('whole'))
      }
      if (asked.target === '/slow') waiting.push(answer)
      else answer()
    },
  })
  t.teardown(() => target.stop())
  const [listen, admin] = [await refusingAddress(), await refusingAddress()]
  const config = {
    ...onePair('http', [target.address], { listener: { listen } }),
    admin: { listen: admin },
    log: { level: 'info', access: 'stdout' },
    shutdownTimeout,
  }
  const castor = new ChildCastor([MAIN, 'start', '-c', await configFile(t, config)], options)
  t.teardown(() => castor.kill())
  await until('it being ready', async () => (await request(portOf(admin), get('/readyz'))).status === 200, 15_000)
  return { castor, port: portOf(listen), waiting }
}

/** A request that is under way when the signal comes is answered, and the process ends in order. */
async function stopsInOrder(t: Test, { castor, port, waiting }: Awaited<ReturnType<typeof start>>): Promise<void> {
  const client = await RawClient.connect(port)
  const answer = client.exchange(get('/slow'))
  await until('the request at the target', () => waiting.length === 1)
  castor.child.kill('SIGHUP')
  castor.child.kill('SIGTERM')
  await until('nobody new being let in', () =>
    RawClient.connect(port).then(
      () => false,
      () => true,
    ),
  )
  waiting[0]!()
  t.equal((await answer).text, 'whole')
  client.close()
  t.equal(await castor.ended(8_000), 0)
}

t.test('a stop ends in order where the readers of the standard streams stand still', async (t) => {
  const setting = await start(t, { stdout: await fullPipe(t), stderr: await fullPipe(t) })
  await stopsInOrder(t, setting)
})

t.test('a stop ends in order where the readers of the standard streams are gone', async (t) => {
  const [stdout, stderr] = [await pipe(t), await pipe(t)]
  const setting = await start(t, { stdout: stdout.fd, stderr: stderr.fd })
  stdout.readerLeaves()
  stderr.readerLeaves()
  t.equal((await request(setting.port, get('/'))).status, 200)
  await stopsInOrder(t, setting)
})

t.test('nor is what Node or a library writes to a reader that is gone the end of it', async (t) => {
  const [stdout, stderr] = [await pipe(t), await pipe(t)]
  // In every thread, whose streams are the process's.
  const noise = await noisyModule(t)
  const setting = await start(t, {
    stdout: stdout.fd,
    stderr: stderr.fd,
    env: { ...process.env, NODE_OPTIONS: `--require ${noise}` },
  })
  stdout.readerLeaves()
  stderr.readerLeaves()
  for (let n = 0; n < 20; n++) t.equal((await request(setting.port, get('/'))).status, 200)
  await stopsInOrder(t, setting)
})

t.test('a stop ends in order where the reader of a socket stands still', async (t) => {
  const setting = await start(t, {})
  const { castor, port } = setting
  castor.child.stdout!.pause()
  // Each leaves a line in the access log: many times what a socket holds.
  await pipelinedLoad(port, 4_000, 4, 50)
  await stopsInOrder(t, setting)
})

t.test('a second signal ends it at once where the access log cannot be written', async (t) => {
  const { castor, port } = await start(t, { stdout: await fullPipe(t) }, '10m')
  await pipelinedLoad(port, 400, 4, 50)
  castor.child.kill('SIGTERM')
  await until('the first being heard', () => castor.stderr.includes('stopping: '))
  castor.child.kill('SIGTERM')
  const code = await castor.ended(4_000)
  t.ok(code === 0 || code === 1, `ended with ${code}`)
})
