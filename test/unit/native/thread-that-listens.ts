// Runs in a thread of its own: listens on several ports, one of them paused, and leaves whoever comes in the queue.
import { parentPort } from 'node:worker_threads'
import { nativeAddon } from '../../../src/native/addon.js'
import { NativeAcceptor } from '../../../src/net/native-acceptor.js'

const acceptor = new NativeAcceptor(nativeAddon()!)
const spec = { address: '127.0.0.1', port: 0, backlog: 511, ipv6Only: true, deferAcceptSeconds: 0 }
const listenings = await Promise.all(
  [1, 2, 3].map(() => acceptor.listen(spec, { onAccepted() {}, onOutOfDescriptors() {} })),
)
listenings[0]!.pause()
listenings[2]!.pause()
listenings[2]!.resume()
parentPort!.postMessage(listenings.map(({ port }) => port))
