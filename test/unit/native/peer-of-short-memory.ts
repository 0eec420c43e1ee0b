// Runs in a node where the addon's buffers do not grow (failing-realloc.c), and prints what its peer saw and how it ended.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { SystemClock } from '../../../src/core/clock.js'
import { nativeAddon } from '../../../src/native/addon.js'
import { NativeTransport } from '../../../src/net/native-transport.js'
import { Recorder } from '../../contract/recorder.js'
import { clientConfig, credentials, identity } from '../../contract/tls-rigs.js'
import { APPLICATION_DATA, HANDSHAKE } from '../../tls-peer/record-keys.js'
import { RecordPeer } from '../../tls-peer/record-peer.js'

const HELLO_REQUEST = Buffer.alloc(4)
const ANSWER = Buffer.alloc(120_000, 'a')
const ROUNDS = 10
/** Answers to so many are more than the kernel takes of what was kept before. */
const REQUESTS = 4_000
/** Without data in between they would be taken for a flood. */
const DATA_EACH = 500

const server = createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const transport = new NativeTransport(nativeAddon()!, new SystemClock(), (fault) => {
  throw fault
})
const recorder = new Recorder({
  open: (conn) => void conn.write(ANSWER, 0, ANSWER.length),
  // So that what reading found out is not acted on before there is room to write again.
  data: (conn) => conn.pause(),
})
const coming = once(server, 'connection') as Promise<[Socket]>
transport.dial('127.0.0.1', (server.address() as AddressInfo).port, recorder, transport.clientTls(clientConfig()))
const [socket] = await coming
const peer = await RecordPeer.accept(socket, credentials(identity), { version: 'TLSv1.2' })
await recorder.untilLogged('open')
for (let i = 0; i < ROUNDS && !recorder.closed; i++) {
  // Each is refused by an alert, which waits behind what the kernel did not take.
  const requests = Array.from({ length: REQUESTS }, (_, at) =>
    at % DATA_EACH === 0 ? peer.keys.seal(APPLICATION_DATA, Buffer.of(1)) : peer.keys.seal(HANDSHAKE, HELLO_REQUEST),
  )
  peer.send(...requests)
  await new Promise((resolve) => setTimeout(resolve, 10))
}
await recorder.untilLogged('close')
if (!peer.ended) await new Promise((resolve) => socket.once('close', resolve))
process.stdout.write(JSON.stringify({ cause: recorder.cause?.message, spoilt: peer.spoilt }))
transport.dispose()
server.close()
