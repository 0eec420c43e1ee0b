import t from 'tap'
import { InheritedSockets } from '../../../src/control/inherited-sockets.js'
import { activatedSockets } from '../../../src/control/socket-activation.js'
import type { WholeAddon } from '../../../src/native/addon.js'

const PID = 4711

/** Descriptors 3 to 5 listen, others are not open. */
const addon = {
  adoptListening: (fd: number) => (fd <= 5 ? fd : -9),
  address: (fd: number, _: 0, record: Int32Array) => {
    record.set([fd, 4, 8000 + fd])
    new Uint8Array(record.buffer).set([127, 0, 0, 1], 12)
    return 0
  },
  errorName: (error: number) => (error === -9 ? 'EBADF' : String(error)),
} as unknown as WholeAddon

t.test('the variables are for the process that they name, and for no child of it', async (t) => {
  const env = { LISTEN_PID: String(PID), LISTEN_FDS: '3', LISTEN_FDNAMES: 'web:unknown:castor.socket', PATH: '/bin' }
  t.same(activatedSockets({ ...env, LISTEN_PID: '1' }, PID, addon), [])
  t.same(activatedSockets({ LISTEN_FDS: '1' }, PID, addon), [], 'nobody is named')
  t.same(activatedSockets({ ...env, LISTEN_FDS: '0' }, PID, addon), [])
  t.same(activatedSockets(env, PID, addon), [
    { fd: 3, name: 'web', address: '127.0.0.1', port: 8003 },
    { fd: 4, name: '', address: '127.0.0.1', port: 8004 },
    { fd: 5, name: 'castor.socket', address: '127.0.0.1', port: 8005 },
  ])
  t.same(env, { PATH: '/bin' })
})

t.test('what cannot be used ends the start with a reason', async (t) => {
  const cases: [string, string][] = [
    ['-1', 'LISTEN_FDS=-1 is no number of sockets'],
    ['99999', 'LISTEN_FDS=99999 is no number of sockets'],
    ['1x', 'LISTEN_FDS=1x is no number of sockets'],
    ['4', 'descriptor 6: EBADF'],
  ]
  for (const [count, message] of cases) {
    t.throws(() => activatedSockets({ LISTEN_PID: String(PID), LISTEN_FDS: count }, PID, addon), { message }, count)
  }
  t.throws(() => activatedSockets({ LISTEN_PID: String(PID), LISTEN_FDS: '1' }, PID, undefined), {
    code: 'NATIVE_UNAVAILABLE',
  })
})

t.test('sockets go to their address first, then to a chosen port, then by name', async (t) => {
  const closed: number[] = []
  const sockets = new InheritedSockets(
    [
      { fd: 3, name: 'web', address: '127.0.0.1', port: 80 },
      { fd: 4, name: 'web', address: '::1', port: 8443 },
      { fd: 5, name: 'api', address: '127.0.0.1', port: 40_000, configuredPort: 0 },
      { fd: 6, name: 'old', address: '127.0.0.1', port: 81, configuredPort: 81 },
      { fd: 7, name: 'api', address: '10.0.0.1', port: 40_001, configuredPort: 0 },
    ],
    (fd) => closed.push(fd),
  )
  const found = sockets.match([
    { name: 'web', address: '0.0.0.0', port: 443 },
    { name: 'other', address: '0:0:0:0:0:0:0:1', port: 8443 },
    { name: 'api', address: '127.0.0.1', port: 0 },
    { name: 'old', address: '127.0.0.1', port: 82 },
  ])
  t.same(
    found.map((socket) => socket?.fd),
    // The port of `old` has changed: it is another address now, to be opened.
    [3, 4, 5, undefined],
  )
  t.same(
    sockets.closeRest().map(({ fd }) => fd),
    [6, 7],
  )
  t.same(closed, [6, 7])
  t.same(sockets.closeRest(), [])
})
