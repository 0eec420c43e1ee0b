// Runs in a thread of its own: echoes on the descriptors it is sent, until it is told how to come to its end.
import { parentPort, workerData } from 'node:worker_threads'
import { SystemClock } from '../../../src/core/clock.js'
import type { Conn, ConnHandler } from '../../../src/core/conn.js'
import { RECORD_FAMILY, RECORD_FD, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { nativeAddon } from '../../../src/native/addon.js'
import { NativeTransport } from '../../../src/net/native-transport.js'

export type Ending = 'throw' | 'throw when woken' | 'exit' | 'reject' | 'memory' | 'busy in a handler' | 'nothing'
export type ToThread = { readonly adopt: readonly number[] } | { readonly ending: Ending }
export type FromThread = 'ready' | 'adopted' | 'told' | 'woken' | 'busy'

const port = parentPort!
const tell = (message: FromThread): void => port.postMessage(message)
const transport = new NativeTransport(nativeAddon()!, new SystemClock(), (fault) => {
  throw fault
})
let ending: Ending = 'nothing'

const echo: ConnHandler = {
  onOpen() {},
  onData(conn: Conn, buffer, length) {
    if (ending === 'busy in a handler') {
      tell('busy')
      for (;;);
    }
    conn.write(buffer, 0, length)
  },
  onEnd: (conn) => conn.close(),
  onWritable() {},
  onClose() {},
}

transport.watch(workerData as number, () => {
  tell('woken')
  if (ending === 'throw when woken') throw new Error('as told')
})
port.on('message', (message: ToThread) => {
  if ('adopt' in message) {
    const record = new Int32Array(RECORD_WORDS)
    record[RECORD_FAMILY] = 4
    for (const fd of message.adopt) {
      record[RECORD_FD] = fd
      transport.adopt(record, 0, undefined, echo)
    }
    tell('adopted')
    return
  }
  ending = message.ending
  tell('told')
  if (ending === 'exit') process.exit(3)
  if (ending === 'throw') throw new Error('as told')
  if (ending === 'reject') void Promise.reject(new Error('as told'))
  if (ending === 'memory') {
    const kept: unknown[] = []
    for (;;) kept.push({ kept: new Array(1_000).fill(kept.length) })
  }
})
tell('ready')
