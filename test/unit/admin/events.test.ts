import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t from 'tap'
import { EventStreams } from '../../../src/admin/events.js'

/** A server that gives every connection a stream. */
async function serve(t: { teardown(end: () => unknown): unknown }, streams: EventStreams): Promise<Server> {
  const server = createServer((_, response) => void streams.add(response, ''))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    streams.close()
    server.closeAllConnections()
    server.close()
  })
  return server
}

async function reader(server: Server): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'connect')
  return socket
}

t.test('a reader that takes nothing is left out, then cut, while others go on', async (t) => {
  const event = 'x'.repeat(100_000)
  let rendered = 0
  const render = (): string => {
    rendered++
    return event
  }
  const streams = new EventStreams(render, (error) => t.fail(String(error)), 2)
  const server = await serve(t, streams)
  let most = 0
  server.on('connection', (socket) => {
    const watch = setInterval(() => {
      if (socket.writableLength > most) most = socket.writableLength
    }, 1)
    socket.on('close', () => clearInterval(watch))
  })
  const stuck = await reader(server)
  stuck.pause()
  const quick = await reader(server)
  let got = 0
  quick.on('data', (chunk) => {
    got += chunk.length
  })
  while (streams.size < 2) await once(quick, 'data')
  while (streams.size === 2) await once(quick, 'data')
  t.equal(streams.size, 1, 'only the quick one is left')
  const seen = got
  while (got < seen + 500_000) await once(quick, 'data')
  t.ok(most < 800_000, `at most ${most} bytes waited`)
  t.ok(rendered > 30)
  stuck.destroy()
  quick.destroy()
})

t.test('nothing is rendered while nobody listens', async (t) => {
  let rendered = 0
  const streams = new EventStreams(
    () => String(++rendered),
    () => {},
    1,
  )
  const server = await serve(t, streams)
  t.equal(rendered, 0)
  const socket = await reader(server)
  while (rendered < 3) await once(socket, 'data')
  socket.destroy()
  while (streams.size > 0) await new Promise((resolve) => setImmediate(resolve))
  const last = rendered
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(rendered, last, 'twenty times the interval later')
})
