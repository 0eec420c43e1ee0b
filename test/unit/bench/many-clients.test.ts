import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import type { LoadResult } from '../../../bench/load/load.js'
import type { ManyClientsOptions } from '../../../bench/load/many-clients.js'
import { orderOnce } from '../../../bench/order.js'
import { SMALL_BYTES, SMALL_PATH } from '../../../bench/origin/content.js'

const onLinux = process.platform === 'linux' ? {} : { skip: 'reads /proc' }
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${SMALL_BYTES}\r\n\r\n${'x'.repeat(SMALL_BYTES)}`

t.test('many clients ask in turn, each by its own address, once all are there', onLinux, async (t) => {
  const clients: string[] = []
  const askedBy: number[] = []
  const server = createServer((socket) => {
    let number = -1
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const line of data.toString('latin1').split('\r\n')) {
        if (line.startsWith('PROXY ')) number = clients.push(line.split(' ')[2]!) - 1
        if (!line.startsWith('GET ')) continue
        askedBy.push(number)
        socket.write(ANSWER)
      }
    })
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const options: ManyClientsOptions = { port, clients: 100, outOf: 100_000, atOnce: 8, seconds: 1, path: SMALL_PATH }
  let askedBeforeBegun = -1
  const result = await orderOnce<ManyClientsOptions, LoadResult>('load/many-clients', options, 0, 10_000, () => {
    askedBeforeBegun = askedBy.length
  })
  t.equal(askedBeforeBegun, 0)
  t.equal(result.errors, 0)
  t.equal(result.requests, askedBy.length)
  t.equal(new Set(clients).size, 100)
  // Those under way at once may arrive in another order than they were sent in.
  const first = askedBy.slice(0, options.clients - options.atOnce + 1)
  t.equal(new Set(first).size, first.length, 'nobody asks again before all have')
})
