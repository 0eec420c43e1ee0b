import t from 'tap'
import { parseRedisUrl } from '../../../src/config/redis-url.js'
import { parse, problemsOf, SMALL } from './support.js'

const ENCODE =
  'in a URL write % as %25, / as %2F, # as %23, ? as %3F and @ as %40, or use a map with address, username and password'

t.test('a URL of Redis, with and without a login, a port, a database', async (t) => {
  const plain = { type: 'single', database: 0, username: '', password: '', tls: false, ca: '' }
  const at = (host: string, port = 6379): object => ({ ...plain, address: { host, port } })
  for (const [url, expected] of [
    ['redis://127.0.0.1:6379', at('127.0.0.1')],
    ['redis://redis.internal', at('redis.internal')],
    ['redis://redis.internal/', at('redis.internal')],
    ['rediss://r:7000/3', { ...at('r', 7000), tls: true, database: 3 }],
    ['redis://[2001:db8::5]:7000', at('2001:db8::5', 7000)],
    ['redis://[2001:db8::5]', at('2001:db8::5')],
    ['redis://:secret@r', { ...at('r'), password: 'secret' }],
    ['redis://me:secret@r', { ...at('r'), username: 'me', password: 'secret' }],
    ['redis://me@r', { ...at('r'), username: 'me' }],
    ['redis://:a:b@c@r', { ...at('r'), password: 'a:b@c' }],
    ['redis://m%2Fe:%25%2F%23%3F%40%C3%BC@r', { ...at('r'), username: 'm/e', password: '%/#?@ü' }],
  ] as const) {
    t.same(parseRedisUrl(url), { ok: true, value: expected }, url)
  }
})

t.test('a URL that would be misread is refused, says the fix, and does not repeat the password', async (t) => {
  const url = 'must be a URL like redis://127.0.0.1:6379, or rediss:// for TLS'
  const cut = `has a password with a / ? or # in it; ${ENCODE}`
  const percent = `has a user or password with a % in it; ${ENCODE}`
  const host = 'has no host, or a port that is none; write it like redis://127.0.0.1:6379'
  const behind = 'has more behind the port than a / and the number of a database'
  for (const [given, problem] of [
    ['http://r:6379', url],
    ['r:6379', url],
    ['redis:r', url],
    ['redis://:50%S3CRET@r', percent],
    ['redis://:S3CRET%@r', percent],
    ['redis://S3CRET%zz:x@r', percent],
    ['redis://:%ffS3CRET@r', percent],
    ['redis://:S3/CRET@r', cut],
    ['redis://:S3#CRET@r', cut],
    ['redis://:S3?CRET@r', cut],
    ['redis://me:12#S3CRET@r', cut],
    ['redis://', host],
    ['redis://:S3CRET@', host],
    ['redis://:S3CRET@r:99999', host],
    ['redis://:S3CRET@r:0', host],
    ['redis://:S3CRET@r r', host],
    ['redis://r/S3CRET', behind],
    ['redis://r/1/2', behind],
    ['redis://r/70000', behind],
    ['redis://r?db=1', behind],
    ['redis://r#1', behind],
  ] as const) {
    t.same(parseRedisUrl(given), { ok: false, problem }, given)
    t.notMatch(problem, /S3|CRET/)
  }
})

t.test('one Redis by keys, with a login and authorities of its own', async (t) => {
  const cluster = (redis: string): string =>
    `${SMALL}cluster:\n  name: c\n  secret: at least sixteen\n  redis: ${redis}\n`
  const { cluster: found } = parse(
    cluster('{ address: "r:6380", username: me, password: "50%/#?", database: 2 }'),
    { readCertificates: false },
    '/etc/castor/castor.yaml',
  )
  const login = { username: 'me', password: '50%/#?', tls: false, ca: '' }
  t.same(found?.redis, { type: 'single', address: { host: 'r', port: 6380 }, database: 2, ...login })
  t.same(problemsOf(cluster('{ address: "r:6380", tls: true, ca: none.pem }')).length, 1)
  t.match(problemsOf(cluster('{ address: "r:6380", tls: true, ca: none.pem }'))[0], /none\.pem/)
  for (const redis of ['{ address: "r:6380", ca: a.pem }', '{ nodes: ["r:1"], ca: a.pem }']) {
    t.match(problemsOf(cluster(redis))[0], /ca has no effect without tls: true/)
  }
  t.match(problemsOf(cluster('"redis://:50%S3CRET@r"'))[0], /has a user or password with a % in it; in a URL write/)
})
