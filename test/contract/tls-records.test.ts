import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { SecureVersion } from 'node:tls'
import t from 'tap'
import type { Conn } from '../../src/core/conn.js'
import { ALERT, APPLICATION_DATA, HANDSHAKE } from '../tls-peer/record-keys.js'
import { RecordPeer } from '../tls-peer/record-peer.js'
import { IMPLEMENTATIONS } from './conn-rigs.js'
import { pattern, Recorder } from './recorder.js'
import { credentials, faultOf, identity, TlsRig } from './tls-rigs.js'

/** Update_not_requested, RFC 8446 4.6.3. */
const KEY_UPDATE = Buffer.of(24, 0, 0, 1, 0)
const HELLO_REQUEST = Buffer.of(HANDSHAKE, 3, 3, 0, 4, 0, 0, 0, 0)

interface Listening {
  readonly port: number
  /** The next connection. */
  next(): Promise<Socket>
  close(): void
}

async function listen(): Promise<Listening> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    next: async () => ((await once(server, 'connection')) as [Socket])[0],
    close: () => server.close(),
  }
}

for (const { name, available, open } of IMPLEMENTATIONS.filter(({ name }) => name === 'native' || name === 'socket')) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    const rig = new TlsRig(open())
    const listening = await listen()
    t.teardown(() => {
      listening.close()
      rig.close()
    })

    /** A connection that this implementation accepted or dialled, and its peer. */
    async function connect(
      role: 'server' | 'client',
      version: SecureVersion,
      recorder: Recorder,
    ): Promise<[RecordPeer, Conn]> {
      if (role === 'server') {
        const accepted = rig.expect(rig.server(), recorder)
        return [await RecordPeer.connect(await rig.rig.port(), { version }), await accepted]
      }
      const coming = listening.next()
      const conn = rig.rig.dialling.dial('127.0.0.1', listening.port, recorder, rig.client())
      return [await RecordPeer.accept(await coming, credentials(identity), { version }), conn]
    }

    for (const reads of [true, false]) {
      const what = `what waits for the rest of a KeyUpdate is sent when that has come${reads ? '' : ', also while nobody reads'}`
      // Node reads nothing at all of a socket that is paused.
      t.test(what, { skip: name === 'socket' && !reads }, async (t) => {
        for (const role of ['server', 'client'] as const) {
          const answer = pattern(100_000)
          const recorder = new Recorder({
            data(conn) {
              if (!reads) conn.pause()
              if (recorder.bytes === 1) conn.write(answer, 0, answer.length)
            },
          })
          const [peer, conn] = await connect(role, 'TLSv1.3', recorder)
          const data = peer.keys.seal(APPLICATION_DATA, Buffer.of(1))
          peer.send(data, peer.keys.seal(HANDSHAKE, KEY_UPDATE.subarray(0, 4)))
          await recorder.untilBytes(1)
          await rig.rig.settle()
          const rest = peer.keys.seal(HANDSHAKE, KEY_UPDATE.subarray(4))
          peer.keys.update()
          peer.send(rest, peer.keys.seal(APPLICATION_DATA, Buffer.of(2)))
          while (peer.data.length < answer.length && !peer.ended) await once(peer.socket, 'data')
          t.ok(peer.data.equals(answer), `as ${role}`)
          if (!reads) {
            t.equal(recorder.bytes, 1, 'what comes behind it is left')
            conn.resume()
            await recorder.untilBytes(2)
          }
          conn.abort()
          peer.close()
        }
      })
    }

    t.test('a fatal alert ends a connection at once, also behind data', async (t) => {
      for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
        for (const role of ['server', 'client'] as const) {
          for (const answer of [Buffer.alloc(0), pattern(100)]) {
            const recorder = new Recorder({ data: (conn) => void conn.write(answer, 0, answer.length) })
            const [peer] = await connect(role, version, recorder)
            peer.send(peer.keys.seal(APPLICATION_DATA, Buffer.of(1)), peer.keys.seal(ALERT, Buffer.of(2, 40)))
            await recorder.untilLogged('close')
            t.equal(recorder.cause?.code, 'TLS_FAILED', `${version} as ${role}, answered by ${answer.length} bytes`)
            peer.close()
          }
        }
      }
    })

    t.test('a handshake of messages that are passed over has an end', { skip: name === 'socket' }, async (t) => {
      const coming = listening.next()
      const recorder = new Recorder()
      rig.rig.dialling.dial('127.0.0.1', listening.port, recorder, rig.client())
      const socket = await coming
      socket.on('error', () => {})
      socket.resume()
      const many = Buffer.concat(Array.from({ length: 1_000 }, () => HELLO_REQUEST))
      for (let sent = 0; sent < 2 ** 20 && !recorder.closed; sent += many.length) {
        if (!socket.write(many)) await Promise.race([once(socket, 'drain'), recorder.untilLogged('close')])
      }
      await recorder.untilLogged('close')
      t.same(recorder.log, ['close TLS_HANDSHAKE_FAILED'])
      t.equal(faultOf(recorder), 'PROTOCOL_ERROR')
      socket.destroy()
    })
  })
}
