import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EVENT_BATCH, EVENT_WORDS, type NativeAddon, nativeAddon } from '../../../src/native/addon.js'
import type { TlsAddon } from '../../../src/native/tls-addon.js'
import { toolOrSkip } from '../../tools.js'

const addon = nativeAddon()
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

/** The functions as someone may call them who does not heed their types. */
const calls = addon as unknown as Readonly<Record<keyof (NativeAddon & TlsAddon), (...args: unknown[]) => unknown>>
const EINVAL = -22
const EBADF = -9
const EVENT_BYTES = EVENT_BATCH * EVENT_WORDS * 4

/** As long as the array it stands for, at an address that is no word's. */
const crooked = (bytes: number): Uint8Array => new Uint8Array(new ArrayBuffer(bytes + 1), 1)

/** Its memory can be taken away again. */
function shrinkable(bytes: number): ArrayBuffer {
  const options = { maxByteLength: 2 * bytes }
  return new (ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer)(bytes, options)
}

const open = (alpn: unknown, server = 1): unknown => calls.tlsContextOpen(server, 0x303, 0x304, '', '', alpn, 0, 1)

t.test('arrays that are kept are of the right kind, long enough, and cannot shrink', async (t) => {
  const buffer = new Uint8Array(100)
  const events = new Int32Array(EVENT_BYTES / 4)
  const nothing = (): void => {}
  const bad: readonly unknown[] = [
    crooked(EVENT_BYTES),
    new Uint8Array(EVENT_BYTES),
    new Uint32Array(EVENT_BYTES / 4),
    new Int32Array(EVENT_BYTES / 4 - 1),
    new Int32Array(shrinkable(EVENT_BYTES)),
  ]
  for (const [at, words] of bad.entries()) {
    t.equal(calls.pollerOpen(words, buffer, buffer, nothing), EINVAL, `events ${at}`)
    t.equal(calls.tlsOpen(at === 3 ? new Int32Array(1) : words), EINVAL, `words ${at}`)
  }
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  for (const [at, words] of bad.entries()) {
    const short = at === 3 ? new Int32Array(7) : words
    t.equal(calls.acceptorOpen(listening, short, nothing), EINVAL, `records ${at}`)
    t.equal(calls.address(listening, 0, short), EINVAL, `a record ${at}`)
  }
  addon.closeFd(listening, 0)
  for (const bytes of [
    new Int32Array(10),
    new Uint8Array(shrinkable(100)),
    new Uint8Array(0),
    new DataView(new ArrayBuffer(8)),
  ]) {
    t.equal(calls.pollerOpen(events, bytes, buffer, nothing), EINVAL)
    t.equal(calls.pollerOpen(events, buffer, bytes, nothing), EINVAL)
  }
  t.equal(calls.pollerOpen(events, buffer, buffer, nothing), 0)
  addon.pollerClose()
})

t.test('numbers mean something or are refused', async (t) => {
  t.equal(calls.listenTcp('127.0.0.1', 0, -1, 1, 0), EINVAL, 'a backlog')
  t.equal(calls.listenTcp('127.0.0.1', 0, 10, 2, 0), EINVAL, 'a yes or no')
  t.equal(calls.listenTcp('127.0.0.1', 0, 10, 1, -1), EINVAL, 'seconds')
  const events = new Int32Array(EVENT_BYTES / 4)
  calls.pollerOpen(events, new Uint8Array(10), new Uint8Array(10), () => {})
  const waker = addon.openWaker()
  for (const tag of [0, -1, 0.5, 2 ** 31, undefined]) t.equal(calls.adopt(waker, tag), EINVAL, `tag ${tag}`)
  t.equal(addon.adopt(waker, 1), 0)
  t.equal(addon.closeFd(waker, 0), EBADF, 'it is the poller’s')
  t.equal(addon.drop(waker, 0), 0)
  addon.pollerClose()
})

t.test('protocols of ALPN are names behind their lengths', { skip: addon.tlsOpen === undefined }, async (t) => {
  t.equal(addon.tlsOpen!(new Int32Array(2)), 0)
  const list = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
  for (const [name, alpn] of [
    ['a length beyond the end', list(3, 104, 50)],
    ['one that is far beyond', list(255, 104)],
    ['only a length', list(1)],
    ['an empty name', list(0)],
    ['an empty name behind another', list(2, 104, 50, 0)],
    ['a length beyond the end, behind another', list(2, 104, 50, 9, 1)],
    ['more than the field can hold', new Uint8Array(65_792).fill(255)],
    ['words', new Int32Array(2)],
    ['no array', 'h2'],
    ['nothing', undefined],
  ] as const) {
    for (const server of [0, 1]) t.equal(open(alpn, server), EINVAL, name)
  }
  for (const alpn of [list(), list(2, 104, 50), list(2, 104, 50, 8, ...Buffer.from('http/1.1'))]) {
    for (const server of [0, 1]) {
      const id = open(alpn, server) as number
      t.ok(id > 0)
      addon.tlsOpen!(new Int32Array(2))
      calls.tlsContextClose(id)
    }
  }
})

t.test('what belongs to a server is refused for a client, and lengths are held to', async (t) => {
  if (addon.tlsOpen === undefined) return
  const client = open(new Uint8Array(0), 0)
  t.equal(calls.tlsContextIdentity(client, 0, '', ''), 0)
  t.equal(calls.tlsContextIdentity(client, 1, '', ''), EINVAL, 'a client has one group')
  t.equal(calls.tlsContextKeys(client, new Uint8Array(80)), EINVAL, 'tickets are the server’s')
  const server = open(new Uint8Array(0))
  t.equal(calls.tlsContextIdentity(server, 1, '', ''), EINVAL, 'groups come one after another')
  t.equal(calls.tlsContextIdentity(server, 0, '', ''), 0)
  for (const bytes of [0, 79, 81, 80 * 17]) t.equal(calls.tlsContextKeys(server, new Uint8Array(bytes)), EINVAL)
  t.equal(calls.tlsContextKeys(server, new Int32Array(20)), EINVAL)
  t.equal(calls.tlsContextKeys(server, new Uint8Array(80)), 0)
  t.equal(calls.tlsContextName(server, 'a.example', 1), EINVAL, 'no such group')
  t.equal(
    calls.tlsContextOpen(1, 0x304, 0x303, '', '', new Uint8Array(0), 0, 1),
    EINVAL,
    'versions the wrong way round',
  )
  const events = new Int32Array(EVENT_BYTES / 4)
  calls.pollerOpen(events, new Uint8Array(10), new Uint8Array(10), () => {})
  const waker = addon.openWaker()
  t.equal(addon.adopt(waker, 1), 0)
  t.equal(calls.tlsAccept(waker, server, new Int32Array(4)), EINVAL, 'early bytes')
  t.equal(calls.tlsAccept(waker, server, 'early'), EINVAL)
  t.ok((calls.tlsAccept(waker, server, new Uint8Array(200_000)) as number) < 0, 'more than one read')
  t.equal(calls.tlsAccept(waker, server, new Uint8Array(0)), 0)
  for (const [start, end] of [
    [0, 11],
    [-1, 1],
    [5, 4],
    [0, 2 ** 31],
  ]) {
    t.equal(calls.tlsSend(waker, 1, start, end), EINVAL)
    t.equal(calls.tlsSendFrom(waker, new Uint8Array(10), start, end), EINVAL)
  }
  t.equal(calls.tlsSendFrom(waker, new Int32Array(10), 0, 10), EINVAL)
  for (const limit of [0, -1, 11]) t.equal(calls.tlsReceive(waker, limit, 0), EINVAL)
  t.equal(addon.drop(waker, 0), 0)
  addon.pollerClose()
  for (const id of [client, server]) calls.tlsContextClose(id)
})

t.test('what cannot be kept for want of memory ends the connection, and no record is spoilt', async (t) => {
  if (process.env.LD_PRELOAD !== undefined) {
    t.plan(0, 'another allocator is preloaded')
    return
  }
  const compiler = toolOrSkip(t, 'cc')
  if (compiler === undefined || addon.tlsOpen === undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'castor-realloc-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const library = join(folder, 'failing-realloc.so')
  const source = fileURLToPath(new URL('../../../../test/unit/native/failing-realloc.c', import.meta.url))
  execFileSync(compiler, ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
  const program = fileURLToPath(new URL('peer-of-short-memory.js', import.meta.url))
  const env = { ...process.env, LD_PRELOAD: library }
  const { stdout, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8', timeout: 20_000 })
  t.equal(stdout, JSON.stringify({ cause: 'ENOMEM', spoilt: 0 }), stderr)
})
