import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { RedisServer } from '../../integration/support/redis.js'
import { castor, SMALL_CONFIG } from './castor.js'

interface Found {
  readonly what: string
  readonly grade: string
  readonly found: string
}

const env = { CASTOR_SECRET: 'a secret that is long enough to be one' }
const clustered = (url: string): string =>
  `${SMALL_CONFIG}cluster: { name: shop, redis: "${url}", secret: "\${CASTOR_SECRET}" }\n`

t.test('this host is examined, for people and for programs, and nothing is changed', async (t) => {
  const { code, stdout, stderr } = await castor(['doctor'], { cwd: t.testdir() })
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(
    stdout,
    /Node +Node \d+.*native transport .*open files .*accept queue .*\d+ to mend, \d+ to look at, \d+ in order\n$/s,
  )
  const json = JSON.parse((await castor(['doctor', '--json'], { cwd: t.testdir() })).stdout) as Found[]
  t.match(
    json.find(({ what }) => what === 'configuration'),
    { grade: 'unknown' },
  )
})

t.test('a wrong configuration is an error of its own, and a file that is named must be there', async (t) => {
  const cwd = t.testdir({ 'castor.yaml': 'listeners: 3\n' })
  t.equal((await castor(['doctor'], { cwd })).code, 2)
  t.equal((await castor(['doctor', '-c', 'gone.yaml'], { cwd })).code, 2)
})

t.test('a Redis that evicts, and one that is away, keep the host from its work', async (t) => {
  const redis = await RedisServer.start(t, { args: ['--maxmemory', '8mb', '--maxmemory-policy', 'allkeys-lru'] })
  const file = join(t.testdir(), 'castor.yaml')
  const found = async (): Promise<readonly Found[]> => {
    const { code, stdout } = await castor(['doctor', '-c', file, '--json'], { env })
    t.equal(code, 1)
    return JSON.parse(stdout) as Found[]
  }
  writeFileSync(file, clustered(redis.url))
  const there = await found()
  t.match(
    there.find(({ what }) => what === 'Redis'),
    { grade: 'ok', found: /version \d+\.\d+.* answers in/ },
  )
  t.match(
    there.find(({ what }) => what === 'memory of Redis'),
    { grade: 'fail', found: /allkeys-lru/ },
  )
  await redis.end('SIGTERM')
  t.match(
    (await found()).find(({ what }) => what === 'Redis'),
    { grade: 'fail', found: /ECONNREFUSED/ },
  )
})
