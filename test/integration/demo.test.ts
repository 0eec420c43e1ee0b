import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { WebSocket } from 'ws'
import { fetchText } from './support/castor.js'
import { ChildCastor, MAIN } from './support/child-castor.js'
import { get, request } from './support/raw-client.js'
import { until } from './support/until.js'

const castor = new ChildCastor([
  MAIN,
  'start',
  '--demo',
  '--set',
  'listeners.0.listen=127.0.0.1:0',
  '--set',
  'admin.listen=127.0.0.1:0',
])
t.teardown(() => castor.kill())
t.before(() => castor.ready())

async function command(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  const child = new ChildCastor([MAIN, ...args], { env: { NO_COLOR: '1' } })
  const code = await child.ended(20_000)
  return { code, stdout: child.stdout, stderr: child.stderr }
}

t.test('three targets answer in turn', async (t) => {
  const names: string[] = []
  for (let i = 0; i < 6; i++) {
    const { status, text } = await request(castor.port('web'), get('/hello'))
    t.equal(status, 200)
    t.match(text, /^target \w+ answers GET \/hello\nyour address: 127\.0\.0\.1\nrequest id: [0-9a-f]{32}\n$/)
    names.push(text.split(' ')[1]!)
  }
  t.same(names.slice(0, 3).sort(), ['one', 'three', 'two'])
  t.same(names.slice(3), names.slice(0, 3))
})

t.test('a WebSocket is echoed', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port('web')}/`)
  const messages: string[] = []
  socket.on('message', (data) => messages.push(String(data)))
  await once(socket, 'open')
  const big = 'x'.repeat(300_000)
  socket.send('hello')
  socket.send(big)
  while (messages.length < 3) await once(socket, 'message')
  t.match(messages[0], /you are connected to target/)
  t.same(messages.slice(1), ['hello', big])
  socket.close(1000)
  const [code] = await once(socket, 'close')
  t.equal(code, 1000)
})

t.test('castor status finds it healthy', async (t) => {
  const { code, stdout } = await command('status', '--admin', `127.0.0.1:${castor.adminPort}`)
  t.equal(code, 0)
  for (const what of ['web', 'demo', 'one', 'two', 'three']) t.match(stdout, what)
})

t.test('castor bench prints its table, and the access log goes to the file that was named', async (t) => {
  const url = `http://127.0.0.1:${castor.port('web')}/`
  const { code, stdout } = await command('bench', '--url', url, '-c', '8', '-d', '1')
  t.equal(code, 0)
  t.match(stdout, /requests\/s +[\d,. ]*[1-9]/)
  t.match(stdout, /status +2xx [\d,]+\n/)
  t.match(stdout, /errors +0 connection errors, 0 time-outs/)
  const file = /^access log in (.+)$/m.exec(castor.stdout)![1]!
  await until('lines in the file', () => readFileSync(file, 'utf8').includes('"user_agent"'))
  t.equal(statSync(file).mode & 0o777, 0o600, 'nobody else reads it')
  t.notMatch(castor.stdout, /"user_agent"/, 'the terminal stays readable')
})

t.test('the dashboard page and the metrics are served', async (t) => {
  t.match(await fetchText(castor.adminPort, '/'), /<!doctype html>[\s\S]*<script/i)
  t.match(await fetchText(castor.adminPort, '/metrics'), /castor_requests_total\{.*code="200"\} \d+/)
})

t.test('SIGINT stops it cleanly', async (t) => {
  castor.child.kill('SIGINT')
  t.equal(await castor.ended(), 0)
})
