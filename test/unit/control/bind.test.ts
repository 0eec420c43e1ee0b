import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { Binds, type OpenSocket, type SocketOpener } from '../../../src/control/bind.js'
import { Slots } from '../../../src/control/slots.js'

const config = (port: number) =>
  parseConfig(
    JSON.stringify({
      listeners: [{ name: 'in', protocol: 'http', listen: `127.0.0.1:${port}`, targetGroup: 'out' }],
      targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: '192.0.2.1:80' }] }],
    }),
    'castor.yaml',
  )

/** Sockets that only say what becomes of them. */
class Sockets implements SocketOpener {
  readonly did: string[] = []

  async open({ address, port }: { address: string; port: number }): Promise<OpenSocket> {
    const note = (what: string) => () => void this.did.push(`${what} ${port}`)
    note('open')()
    return {
      ...{ fd: -1, address, port, mute: () => false, setKeepAlive() {} },
      ...{ pause: note('pause'), resume: note('resume'), close: note('close') },
    }
  }

  close(): void {}
}

t.test('a change that is under way when the process stops leaves nothing that listens', async (t) => {
  const sockets = new Sockets()
  const binds = new Binds(sockets, new Slots({ isQuiet: () => true, clear() {} }))
  const first = await binds.prepare(config(8001))
  first.commit()
  binds.resume()
  const second = await binds.prepare(config(8002))
  binds.close()
  t.same(second.commit(), [])
  t.same(sockets.did, ['open 8001', 'resume 8001', 'open 8002', 'close 8001', 'close 8002'])
  await t.rejects(binds.prepare(config(8003)), { code: 'LISTEN_FAILED' })
  t.notOk(sockets.did.includes('open 8003'))
})
