import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SEED, seededRandom } from '../random.js'
import { toolOrSkip } from '../tools.js'
import { startTestCastor } from './support/castor.js'
import { startNginx } from './support/nginx.js'
import { get, RawClient, type RawResponse } from './support/raw-client.js'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

t.test('nginx as the target: files, ranges, conditions, errors', async (t) => {
  const nginx = toolOrSkip(t, 'nginx')
  if (nginx === undefined) return
  const large = randomBytes(1024 * 1024)
  const root = folderWith(t, {
    'small.txt': 'hello',
    'large.bin': large,
    'empty.txt': '',
    'page.txt': 'a page of text. '.repeat(500),
  })
  const address = await startNginx(
    t,
    nginx,
    `root ${root};
    default_type text/plain;
    gzip on; gzip_types text/plain; gzip_min_length 1000; gzip_proxied any;
    error_page 418 /small.txt;
    location = /teapot { return 418; }
    location = /moved { return 301 /small.txt; }
    location = /none { return 204; }
    location = /gone { return 410 "gone\n"; }
    location = /slow { limit_rate 4m; try_files /large.bin =404; }`,
  )
  const castor = await startTestCastor(t, [address])
  const through = await RawClient.connect(castor.port)
  const straight = await RawClient.connect(Number(address.split(':')[1]))
  t.teardown(() => {
    through.close()
    straight.close()
  })
  const etag = (await straight.exchange(get('/small.txt'))).header('etag')!
  const cases: [method: string, path: string, lines?: string[]][] = [
    ['GET', '/small.txt'],
    ['GET', '/empty.txt'],
    ['GET', '/large.bin'],
    ['GET', '/slow'],
    ['HEAD', '/large.bin'],
    ['GET', '/large.bin', ['Range: bytes=1000-1999']],
    ['GET', '/large.bin', ['Range: bytes=-5']],
    ['GET', '/large.bin', ['Range: bytes=99999999-']],
    ['GET', '/small.txt', [`If-None-Match: ${etag}`]],
    ['GET', '/small.txt', ['If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT']],
    ['GET', '/page.txt', ['Accept-Encoding: gzip']],
    ['GET', '/missing'],
    ['GET', '/teapot'],
    ['GET', '/moved'],
    ['GET', '/none'],
    ['GET', '/gone'],
    ['HEAD', '/gone'],
    ['POST', '/small.txt', ['Content-Length: 0']],
    ['OPTIONS', '/small.txt'],
    ['DELETE', '/small.txt'],
    ['GET', '/a%20b/../small.txt'],
  ]
  const essence = (response: RawResponse): unknown => ({
    status: response.status,
    reason: response.reason,
    framing: response.framing,
    body: digest(response.body),
    fields: response.fields
      .map(([name, text]) => [name.toLowerCase(), text])
      // The one is about a connection, the other about the second in which it was asked.
      .filter(([name]) => name !== 'connection' && name !== 'date')
      .sort(([a], [b]) => (a! < b! ? -1 : 1)),
  })
  for (const [method, path, lines = []] of cases) {
    const bytes = get(path, lines, method)
    const expected = essence(await straight.exchange(bytes, method))
    t.same(essence(await through.exchange(bytes, method)), expected, `${method} ${path} ${lines}`)
  }
})

t.test('a target that closes its idle connections at the worst moments costs no request', async (t) => {
  const nginx = toolOrSkip(t, 'nginx')
  if (nginx === undefined) return
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const keepMs = 20
  const root = folderWith(t, { 'small.txt': 'hello' })
  const address = await startNginx(t, nginx, `root ${root}; keepalive_timeout ${keepMs}ms; keepalive_requests 100;`)
  const castor = await startTestCastor(t, [address])
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  t.teardown(() => agent.destroy())
  const total = 5_000
  const outcomes = new Map<string, number>()
  let left = total
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      // About as long as nginx keeps an idle connection: requests and closes cross each other.
      if (random() < 0.1) await new Promise((resolve) => setTimeout(resolve, keepMs - 2 + random() * 6))
      const outcome = await fetchStatus(castor.port, agent)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 20 }, client))
  t.same([...outcomes], [['200 hello', total]])
  const metrics = await castor.metrics()
  t.comment(`${metrics.get('castor_retries_total')} requests were sent again`)
})

/** A folder with these files in it, as long as the test runs. */
function folderWith(t: Test, files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-files-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return folder
}

function fetchStatus(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const request = httpGet({ host: '127.0.0.1', port, path: '/small.txt', agent }, (response: IncomingMessage) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (data) => {
        text += data
      })
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
      response.on('error', (error) => resolve(error.message))
    })
    request.on('error', (error) => resolve(error.message))
  })
}
