import t from 'tap'
import { Progress } from '../../../src/cli/progress.js'
import { castor, closedPort, serve } from './castor.js'

type Tap = typeof t

async function web(t: Tap, status: (url: string | undefined) => number) {
  const { server, address } = await serve((request, response) => {
    response.statusCode = status(request.url)
    response.end('hello')
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://${address}/`
}

t.test('a run prints its table, progress on stderr only', async (t) => {
  const url = await web(t as Tap, () => 200)
  const { code, stdout, stderr } = await castor(['bench', '--url', url, '-c', '4', '-d', '1'])
  t.equal(code, 0, stderr)
  t.match(stdout, new RegExp(`^${url} {2}4 connections {2}[\\d.]+ s$`, 'm'))
  t.match(stdout, /^requests\/s +[1-9][\d,]*$/m)
  t.match(stdout, /^MiB\/s +\d+\.\d$/m)
  t.match(stdout, /^status +2xx [1-9][\d,]*$/m)
  t.match(stdout, /^errors +0 connection errors, 0 time-outs$/m)
  t.match(stdout, /^ +P50 +P90 +P99 +P99\.9 +MAX$/m)
  t.match(stdout, /^latency under load( +\d+ ms){5}$/m)
  t.match(stdout, /^latency beside the load( +[\d.]+ m?s){5}$/m)
  t.match(stderr, /^1\/1 s {2}[\d,]+ requests\/s\n$/)
})

t.test('answers that are errors are counted and do not fail the command', async (t) => {
  const url = await web(t as Tap, () => 503)
  const { code, stdout } = await castor(['bench', '--url', url, '-c', '2', '-d', '1'])
  t.equal(code, 0)
  t.match(stdout, /^status +5xx [1-9][\d,]*$/m)
})

t.test('where nothing listens it says so at once and fails', async (t) => {
  const url = `http://${await closedPort()}/`
  const { code, stdout, stderr } = await castor(['bench', '--url', url, '-d', '60'])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.equal(stderr, `cannot reach ${url}: connection refused; is anything listening there?\n`)
})

t.test('a terminal gets a bar that is taken away, others a line', (t) => {
  const written = (isTTY: boolean): string[] => {
    const lines: string[] = []
    const progress = new Progress({
      isTTY,
      columns: 60,
      write: (text: string | Uint8Array) => {
        lines.push(String(text))
        return true
      },
    })
    progress.show({ elapsedSeconds: 1, totalSeconds: 2, requests: 1_234 })
    progress.show({ elapsedSeconds: 2, totalSeconds: 2, requests: 5 })
    progress.done()
    return lines
  }
  t.same(written(false), ['1/2 s  1,234 requests/s\n', '2/2 s  5 requests/s\n'])
  const clear = '\r\u001b[K'
  const bar = (filled: number, text: string): string =>
    clear + `${'█'.repeat(filled)}${'░'.repeat(30 - filled)}  ${text}`.slice(0, 59)
  t.same(written(true), [bar(15, '1/2 s  1,234 requests/s'), bar(30, '2/2 s  5 requests/s'), clear])
  t.end()
})
