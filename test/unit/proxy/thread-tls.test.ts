import t from 'tap'
import type { Transport } from '../../../src/core/conn.js'
import { type ServerTlsConfig, TICKET_KEY_BYTES, type TlsMaterial } from '../../../src/core/tls.js'
import type { Logger } from '../../../src/observe/log.js'
import { Listener } from '../../../src/proxy/listener.js'
import { ThreadTls } from '../../../workers/proxy/thread-tls.js'

t.test('ticket keys that cannot be used leave those before in force, in a thread as well', async (t) => {
  const given: Uint8Array[] = []
  const transport = {
    serverTls: () => ({ setTicketKeys: (keys: Uint8Array) => given.push(keys), dispose() {} }),
  } as unknown as Transport
  const errors: object[] = []
  const log = { error: (fields: object) => errors.push(fields) } as unknown as Logger
  const [first, second] = [new Uint8Array(TICKET_KEY_BYTES), new Uint8Array(TICKET_KEY_BYTES * 2)]
  const threadTls = new ThreadTls(transport, log, first)
  const listeners: Listener[] = [0, 1].map(() => Object.create(Listener.prototype) as Listener)
  const material = (count: number): TlsMaterial => {
    const config = {} as ServerTlsConfig
    return { listeners: Array.from({ length: count }, () => config), groups: [] }
  }
  threadTls.take(material(1), listeners, [])
  const bad = [0, 7, TICKET_KEY_BYTES + 1].map((bytes) => new Uint8Array(bytes))
  for (const keys of bad) threadTls.setTicketKeys(keys)
  t.same(
    errors,
    bad.map(({ length }) => ({ bytes: length })),
  )
  threadTls.setTicketKeys(second)
  for (const keys of bad) threadTls.setTicketKeys(keys)
  threadTls.take(material(2), listeners, [])
  t.same(
    given.map(({ length }) => length),
    [first, second, second].map(({ length }) => length),
    'also a listener that comes later has the last good ones',
  )
})
