import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { connect } from 'node:tls'
import t from 'tap'
import { SEED, seededRandom } from '../random.js'
import { IMPLEMENTATIONS } from './conn-rigs.js'
import { Recorder } from './recorder.js'
import { echo, faultOf, TlsRig } from './tls-rigs.js'

const ROUNDS = 150
const AT_ONCE = 10

/** What a client of Node's says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ host: '127.0.0.1', port, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] })
  client.on('error', () => {})
  const [socket] = await once(server, 'connection')
  const [hello] = await once(socket, 'data')
  client.destroy()
  server.close()
  return hello
}

/** A hello that is cut, spoilt, stretched or followed by nonsense, or no hello at all. */
function spoil(hello: Buffer, random: () => number): Buffer {
  const number = (below: number): number => Math.floor(random() * below)
  const noise = Buffer.from(Array.from({ length: 1 + number(400) }, () => number(256)))
  const bytes = Buffer.from(hello)
  switch (number(5)) {
    case 0:
      return noise
    case 1:
      return bytes.subarray(0, 1 + number(bytes.length - 1))
    case 2:
      for (let flips = 1 + number(8); flips > 0; flips--) bytes[number(bytes.length)] = number(256)
      return bytes
    case 3:
      return Buffer.concat([bytes.subarray(0, number(bytes.length)), noise])
    default:
      return Buffer.concat([bytes, noise])
  }
}

for (const { name, available, open } of IMPLEMENTATIONS.filter(({ name }) => name === 'native' || name === 'socket')) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    const random = seededRandom(SEED)
    t.comment(`seed ${SEED}`)
    const rig = new TlsRig(open())
    t.teardown(() => rig.close())
    const hello = await clientHello()
    const server = rig.server({ alpn: ['h2', 'http/1.1'] })
    const bystander = new Recorder()
    const [steady] = await rig.connect(bystander, echo(), server)
    for (let round = 0; round < ROUNDS; round += AT_ONCE) {
      const attempts = Array.from({ length: AT_ONCE }, async () => {
        const right = new Recorder()
        const bytes = spoil(hello, random)
        const [socket] = await rig.raw(server, right)
        socket.on('data', () => {})
        socket.end(bytes)
        await right.untilLogged('close')
        socket.destroy()
        return { right, bytes }
      })
      for (const { right, bytes } of await Promise.all(attempts)) {
        if (right.log.length === 1 && !faultOf(right).startsWith('no ')) continue
        t.fail(`${faultOf(right)} and ${right.log.join()} after ${bytes.toString('hex')}`)
      }
      const bytes = bystander.bytes + 1
      steady.write(Buffer.of(round), 0, 1)
      await bystander.untilBytes(bytes)
    }
    t.equal(bystander.bytes, ROUNDS / AT_ONCE, 'nobody else noticed')
  })
}
