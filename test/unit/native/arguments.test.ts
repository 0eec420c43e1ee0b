import { fstatSync, openSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { EVENT_BATCH, EVENT_WORDS, type NativeAddon, nativeAddon } from '../../../src/native/addon.js'
import type { TlsAddon } from '../../../src/native/tls-addon.js'
import { SEED } from '../../random.js'

const addon = nativeAddon()
if (addon === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

type Doors = NativeAddon & TlsAddon
type Call = (...args: readonly unknown[]) => unknown
/** The functions as someone may call them who does not heed their types. */
const calls = addon as unknown as Readonly<Record<keyof Doors, Call>>
const all = Object.keys(addon).filter((name) => name !== 'constants') as (keyof Doors)[]
/** Whatever they are given, this process is not to be ended by it. */
const ENDING: readonly string[] = ['exitNow', 'exitAfter', 'endOnSecondSignal']
/** Descriptors that nobody would close. */
const OPENING: readonly string[] = ['openWaker', 'socketPair']
const names = all.filter((name) => !ENDING.includes(name))
const NO_FD = 1_000_000
const EBADF = -9
const EINVAL = -22
const EEXIST = -17
const ENOENT = -2
const EPERM = -1
const ENOTSOCK = -88

/** Nothing of this is a descriptor that is open, whatever it is turned into. */
const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  true,
  '',
  '0',
  'nonsense',
  '127.0.0.1\0.example',
  '1'.repeat(500),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  0.5,
  NO_FD,
  2 ** 31,
  // Would be standard output, cut to 32 bits.
  2 ** 32 + 1,
  2 ** 53,
  -(2 ** 40),
  1n,
  Symbol('s'),
  {},
  { valueOf: () => 1 },
  [],
  () => 1,
  new Uint8Array(0),
  new Int32Array(4),
  new Float64Array(4),
  new Uint8Array(new SharedArrayBuffer(16)),
  new DataView(new ArrayBuffer(64)),
  new Proxy({}, {}),
]

function standardStreamsAreOpen(): boolean {
  for (const fd of [0, 1, 2]) fstatSync(fd)
  return true
}

function openPoller(callback: (count: number) => void = () => {}): number {
  const events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  return addon!.pollerOpen(events, new Uint8Array(1_000), new Uint8Array(2_000), callback)
}

t.test('every function is there and no other', async (t) => {
  t.equal(all.length, 60)
  for (const name of all) t.type(calls[name], 'function', name)
})

t.test('nonsense is answered with an error, or with nothing, and touches nobody’s descriptor', async (t) => {
  for (const open of [false, true]) {
    if (open) t.equal(openPoller(), 0)
    for (const name of names) {
      if (name === 'pollerClose' || OPENING.includes(name)) continue
      for (const value of NONSENSE) {
        const result = calls[name](value, value, value, value, value, value, value, value, value)
        if (name === 'errorName' || name === 'tlsContextError' || name === 'tlsFailure') t.type(result, 'string')
        else if (name.startsWith('acceptor') && name !== 'acceptorOpen' && name !== 'acceptorMute')
          t.equal(result, undefined)
        else if (name === 'release' || name === 'tlsContextClose' || name === 'tlsInfo') t.equal(result, undefined)
        else if (name === 'tlsOpen' && ArrayBuffer.isView(value)) t.ok((result as number) <= 0)
        else if (name === 'collect') t.ok((result as number) >= 0)
        else if (!((result as number) < 0))
          t.fail(`${name}(${JSON.stringify(String(value))} …) answered ${String(result)}`)
      }
      t.doesNotThrow(() => calls[name](), `${name} without arguments`)
      t.ok(standardStreamsAreOpen(), name)
    }
    addon.pollerClose()
  }
})

t.test('calls with a mixture of nonsense do no harm either', async (t) => {
  t.comment(`seed ${SEED}`)
  const anything = fc.constantFrom(...NONSENSE)
  const some = fc.constantFrom(...names.filter((name) => !OPENING.includes(name)))
  fc.assert(
    fc.property(some, fc.array(anything, { maxLength: 9 }), fc.boolean(), (name, args, open) => {
      if (open) openPoller()
      calls[name](...args)
      return standardStreamsAreOpen()
    }),
    { seed: SEED, numRuns: 5_000 },
  )
  addon.pollerClose()
})

t.test('addresses and ports are taken as they are written or not at all', async (t) => {
  const cases: [unknown, unknown][] = [
    ['127.0.0.1', -1],
    ['127.0.0.1', 65_536],
    ['127.0.0.1', 65_536 + 80],
    ['127.0.0.1', '80'],
    ['127.0.0.1\0', 80],
    ['127.0.0.1 ', 80],
    ['127.0.0.01', 80],
    ['127.1', 80],
    ['[::1]', 80],
    ['::1%lo', 80],
    ['localhost', 80],
    [`::${'0'.repeat(100)}1`, 80],
  ]
  for (const [address, port] of cases) {
    t.equal(calls.connectTcp(address, port), EINVAL, `connect to ${JSON.stringify([address, port])}`)
    t.equal(calls.listenTcp(address, port, 10, 1, 0), EINVAL, `listen on ${JSON.stringify([address, port])}`)
  }
})

t.test('ranges beyond a buffer are refused', async (t) => {
  t.equal(openPoller(), 0)
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  const bound = new Int32Array(8)
  t.equal(addon.address(listening, 0, bound), 0)
  const fd = addon.connectTcp('127.0.0.1', bound[2]!)
  t.ok(fd >= 0)
  const bytes = new Uint8Array(100)
  const ranges: [number, number][] = [
    [-1, 10],
    [0, 101],
    [100, 101],
    [50, 49],
    [0, 2 ** 31 - 1],
    [2 ** 31, 2 ** 32],
    [0.5, 10],
    [0, Number.NaN],
  ]
  for (const [start, end] of ranges) t.equal(addon.sendFrom(fd, bytes, start, end), EINVAL, `${start} to ${end}`)
  for (const which of [0, 1] as const) {
    t.equal(addon.send(fd, which, 0, 2_001), EINVAL)
    t.equal(addon.send(fd, which, -1, 10), EINVAL)
    t.equal(addon.send(fd, which, 10, 9), EINVAL)
  }
  t.equal(addon.send(fd, 0, 0, 1_001), EINVAL, 'the read buffer is the smaller one')
  t.equal(calls.send(fd, 2, 0, 10), EINVAL)
  t.equal(calls.sendFrom(fd, new Float64Array(10), 0, 10), EINVAL)
  for (const limit of [0, -1, 1_001, 2 ** 31 - 1]) t.equal(addon.receive(fd, limit), EINVAL, `a limit of ${limit}`)
  t.equal(calls.address(fd, 0, new Int32Array(7)), EINVAL, 'no room for a record')
  t.equal(addon.sendFrom(fd, bytes, 100, 100), 0, 'nothing is a range too')
  t.equal(addon.closeFd(fd, 0), 0)
  t.equal(addon.closeFd(listening, 0), 0)
  addon.pollerClose()
})

t.test('a poller needs room for its events and something to call', async (t) => {
  const events = new Int32Array(EVENT_BATCH * EVENT_WORDS)
  const buffer = new Uint8Array(10)
  const cases: unknown[][] = [
    [new Int32Array(EVENT_BATCH * EVENT_WORDS - 1), buffer, buffer, () => {}],
    [events, undefined, buffer, () => {}],
    [events, buffer, new Uint8Array(0), () => {}],
    [events, buffer, buffer, undefined],
    [events, buffer, buffer, {}],
  ]
  for (const args of cases) t.equal(calls.pollerOpen(...args), EINVAL)
  t.equal(openPoller(), 0)
  t.equal(openPoller(), EEXIST, 'one a thread')
  addon.pollerClose()
  addon.pollerClose()
  t.equal(openPoller(), 0, 'and another when that is closed')
  addon.pollerClose()
})

t.test('without a poller nothing is adopted or read', async (t) => {
  t.equal(addon.collect(), 0)
  t.equal(addon.watch(0), ENOENT)
  t.equal(addon.adopt(0, 1), ENOENT)
  t.equal(addon.receive(0, 10), ENOENT)
  t.equal(addon.drop(0, 0), EBADF)
  t.ok(standardStreamsAreOpen())
})

t.test('an acceptor takes listening sockets only', async (t) => {
  const records = new Int32Array(64 * 8)
  const waker = addon.openWaker()
  const listening = addon.listenTcp('127.0.0.1', 0, 10, 1, 0)
  const bound = new Int32Array(8)
  addon.address(listening, 0, bound)
  const fd = addon.connectTcp('127.0.0.1', bound[2]!)
  t.equal(
    addon.acceptorOpen(NO_FD, records, () => {}),
    EBADF,
  )
  t.equal(
    addon.acceptorOpen(waker, records, () => {}),
    ENOTSOCK,
  )
  t.equal(
    addon.acceptorOpen(fd, records, () => {}),
    EINVAL,
    'a connection',
  )
  t.equal(
    addon.acceptorOpen(listening, new Int32Array(64 * 8 - 1), () => {}),
    EINVAL,
    'no room for a batch',
  )
  t.equal(calls.acceptorOpen(listening, records, 'call'), EINVAL, 'nothing to call')
  const id = addon.acceptorOpen(listening, records, () => {})
  t.ok(id > 0, 'what was refused before was left to the caller')
  t.equal(
    addon.acceptorOpen(listening, records, () => {}),
    EEXIST,
    'one acceptor a socket',
  )
  addon.acceptorClose(id)
  addon.acceptorClose(id)
  addon.acceptorPause(id)
  addon.acceptorResume(id)
  for (const each of [waker, fd]) t.equal(addon.closeFd(each, 1), 0)
  t.equal(addon.closeFd(listening, 0), EBADF, 'closed with its acceptor')
})

t.test('only what was adopted is dropped, and only once', async (t) => {
  t.equal(openPoller(), 0)
  const waker = addon.openWaker()
  t.equal(addon.drop(waker, 0), EBADF, 'it is somebody else’s')
  t.equal(addon.watch(waker), 0)
  t.equal(addon.watch(waker), EEXIST)
  t.equal(addon.drop(waker, 0), EBADF, 'to watch is not to own')
  addon.release(waker)
  addon.release(waker)
  t.equal(addon.adopt(waker, 1), 0)
  t.equal(addon.adopt(waker, 2), EEXIST)
  addon.release(waker)
  t.equal(addon.drop(waker, 0), EBADF, 'released')
  t.equal(addon.adopt(waker, 3), 0)
  t.equal(addon.drop(waker, 1), 0)
  t.equal(addon.drop(waker, 1), EBADF)
  const file = openSync('/dev/null', 'r')
  t.equal(addon.adopt(file, 1), EPERM, 'what cannot be watched stays the caller’s')
  t.equal(addon.closeFd(file, 0), 0)
  addon.pollerClose()
})

t.test('errors have names, also those that do not exist', async (t) => {
  t.equal(addon.errorName(-111), 'ECONNREFUSED')
  t.equal(addon.errorName(-24), 'EMFILE')
  t.match(addon.errorName(-99_999), /99999/)
})
