import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { RECORD_PORT, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { EAGAIN, nativeAddon } from '../../../src/native/addon.js'
import { NotifySocket } from '../../integration/support/notify-socket.js'
import { until } from '../../integration/support/until.js'
import { toolOrSkip } from '../../tools.js'

const addon = nativeAddon()!
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

const EINVAL = -22
const EMSGSIZE = -90
const EMFILE = -24
const ECONNREFUSED = -111
const ENAMETOOLONG = -36
const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000
const BYTES = Buffer.from('bytes')

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

function flagsOf(fd: number): number {
  return Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8)
}

function pair(): [number, number] {
  const into = new Int32Array(2)
  addon.socketPair(into)
  return [into[0]!, into[1]!]
}

function portOf(fd: number): number {
  const record = new Int32Array(RECORD_WORDS)
  addon.address(fd, 0, record)
  return record[RECORD_PORT]!
}

t.test('descriptors travel with the bytes they were sent with, and no child process inherits them', async (t) => {
  const [ours, theirs] = pair()
  for (const fd of [ours, theirs]) t.equal(flagsOf(fd) & (O_CLOEXEC | O_NONBLOCK), O_CLOEXEC | O_NONBLOCK)
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  const into = new Int32Array(4)
  const bytes = new Uint8Array(100)
  t.equal(addon.receiveDescriptors(theirs, bytes, into), EAGAIN, 'nothing has come yet')
  t.equal(addon.sendDescriptors(ours, BYTES, Int32Array.of(listening, listening)), BYTES.length)
  t.equal(addon.sendDescriptors(ours, BYTES, new Int32Array(0)), BYTES.length)
  t.equal(addon.receiveDescriptors(theirs, bytes, into), BYTES.length)
  t.equal(into[0], 2)
  const received = [into[1]!, into[2]!]
  for (const fd of received) {
    t.not(fd, listening)
    t.equal(portOf(fd), portOf(listening))
    t.ok(flagsOf(fd) & O_CLOEXEC)
  }
  t.equal(addon.receiveDescriptors(theirs, bytes, into), BYTES.length)
  t.equal(into[0], 0, 'what comes without descriptors says so')
  for (const fd of [ours, listening, ...received]) addon.closeFd(fd, 0)
  t.equal(addon.receiveDescriptors(theirs, bytes, into), 0, 'the end')
  addon.closeFd(theirs, 0)
})

t.test('more descriptors than there is room for are all closed', async (t) => {
  const before = openDescriptors()
  const [ours, theirs] = pair()
  for (const count of [2, 3, 64]) {
    const sent = new Int32Array(count).fill(ours)
    t.equal(addon.sendDescriptors(ours, BYTES, sent), BYTES.length)
    const into = new Int32Array(count)
    t.equal(addon.receiveDescriptors(theirs, new Uint8Array(10), into), EMSGSIZE, `${count} for ${count - 1}`)
    t.equal(into[0], 0)
    t.equal(openDescriptors(), before + 2)
  }
  t.equal(addon.sendDescriptors(ours, BYTES, new Int32Array(65).fill(ours)), EINVAL)
  t.equal(
    addon.sendDescriptors(ours, new Uint8Array(0), Int32Array.of(ours)),
    EINVAL,
    'they need a byte to travel with',
  )
  for (const fd of [ours, theirs]) addon.closeFd(fd, 0)
  t.equal(openDescriptors(), before)
})

t.test('where the process may not have as many, none is kept', async (t) => {
  const script = `
    const { nativeAddon } = await import(${JSON.stringify(new URL('../../../src/native/addon.js', import.meta.url).href)})
    const { closeSync, openSync, readdirSync } = await import('node:fs')
    const addon = nativeAddon(), pair = new Int32Array(2), into = new Int32Array(65)
    addon.socketPair(pair)
    addon.sendDescriptors(pair[0], new Uint8Array(5), new Int32Array(64).fill(pair[0]))
    const kept = []
    try { for (;;) kept.push(openSync('/dev/null')) } catch {}
    for (const fd of kept.splice(0, 10)) closeSync(fd)
    const result = addon.receiveDescriptors(pair[1], new Uint8Array(10), into)
    for (const fd of kept.splice(0, 10)) closeSync(fd)
    const after = readdirSync('/proc/self/fd').length
    console.log(result, into[0], after <= 64 - 10)`
  const run = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script]
  const { stdout, stderr } = spawnSync('sh', run, { encoding: 'utf8' })
  t.equal(stdout, `${EMFILE} 0 true\n`, stderr)
})

t.test('whose the other end is', async (t) => {
  const [ours, theirs] = pair()
  t.equal(addon.peerUser(ours), process.getuid!())
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  t.ok(addon.peerUser(listening) < 0, 'of a TCP socket there is none to know')
  for (const fd of [ours, theirs, listening]) addon.closeFd(fd, 0)
})

t.test('a listening socket of another program becomes one as our own', async (t) => {
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  // A child gets it as a service manager would give it: inheritable, and perhaps blocking.
  const script = `
    const { nativeAddon } = await import(${JSON.stringify(new URL('../../../src/native/addon.js', import.meta.url).href)})
    const { readFileSync } = await import('node:fs')
    const addon = nativeAddon()
    const flags = () => /^flags:\\s+(\\d+)/m.exec(readFileSync('/proc/self/fdinfo/3', 'utf8'))[1]
    console.log(addon.adoptListening(3, 10, 60), flags())`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', listening],
  })
  let said = ''
  child.stdout!.on('data', (data) => (said += String(data)))
  await once(child, 'close')
  const [result, flags] = said.trim().split(' ')
  t.equal(result, '3')
  t.equal(Number.parseInt(flags!, 8) & (O_CLOEXEC | O_NONBLOCK), O_CLOEXEC | O_NONBLOCK)
  addon.closeFd(listening, 0)
})

t.test('what does not listen, or not for TCP, is not adopted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-unix-'))
  const path = join(folder, 's')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const unix = (server as unknown as { _handle: { fd: number } })._handle.fd
  const [ours, theirs] = pair()
  const file = openSync('/dev/null', 'r')
  t.equal(addon.adoptListening(unix, 10, 0), EINVAL, 'a Unix socket')
  t.equal(addon.adoptListening(ours, 10, 0), EINVAL, 'a connection')
  t.ok(addon.adoptListening(file, 10, 0) < 0, 'a file')
  t.equal(addon.listeningPath(unix), path)
  t.equal(addon.listeningPath(ours), EINVAL)
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  t.equal(addon.listeningPath(listening), EINVAL, 'TCP')
  t.equal(addon.adoptListening(listening, -1, 0), EINVAL, 'a backlog that is none')
  closeSync(file)
  for (const fd of [ours, theirs, listening]) addon.closeFd(fd, 0)
  server.close()
  rmSync(folder, { recursive: true })
})

t.test('a datagram reaches a Unix socket by its path and by its abstract name', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-unix-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const perl = toolOrSkip(t, 'perl')
  if (perl === undefined) return
  for (const address of [join(folder, 'notify'), `@castor-test-${process.pid}`]) {
    t.ok(addon.sendDatagram(address, 'READY=1') < 0, 'nobody is there')
    const { messages } = await NotifySocket.open(t, perl, address)
    t.equal(addon.sendDatagram(address, 'READY=1\nSTATUS=ü'), 0)
    t.equal(addon.sendDatagram(address, 'WATCHDOG=1'), 0)
    await until('both datagrams', () => messages.length === 2)
    t.same(messages, ['READY=1\nSTATUS=ü', 'WATCHDOG=1'])
  }
})

t.test('what names no Unix socket is sent nothing', async (t) => {
  const before = openDescriptors()
  for (const path of ['', 'relative', 'vsock:2:1234', '\0hidden'])
    t.equal(addon.sendDatagram(path, 'X=1'), EINVAL, path)
  t.equal(addon.sendDatagram('/run/x\0y', 'X=1'), EINVAL)
  t.equal(addon.sendDatagram('/run/x', 'X=\0'), EINVAL)
  t.equal(addon.sendDatagram(`/${'x'.repeat(108)}`, 'X=1'), ENAMETOOLONG)
  t.equal(addon.sendDatagram(`@${'x'.repeat(107)}`, 'X=1'), ECONNREFUSED)
  t.equal(openDescriptors(), before)
})

t.test('a stream goes on over Node’s own sockets once the descriptors have come', async (t) => {
  const [ours, theirs] = pair()
  addon.sendDescriptors(ours, BYTES, Int32Array.of(ours))
  const into = new Int32Array(2)
  addon.receiveDescriptors(theirs, new Uint8Array(5), into)
  addon.closeFd(into[1]!, 0)
  const sockets = [new Socket({ fd: ours }), new Socket({ fd: theirs })]
  sockets[0]!.write('hello')
  const [data] = await once(sockets[1]!, 'data')
  t.equal(String(data), 'hello')
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map((socket) => once(socket, 'close')))
})
