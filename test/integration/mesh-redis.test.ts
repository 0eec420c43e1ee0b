import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { RedisConfig } from '../../src/core/config.js'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import { toolOrSkip } from '../tools.js'
import type { Test } from './support/castor.js'
import { freePort, RedisServer, redisAt } from './support/redis.js'
import { until } from './support/until.js'
import { WireEnd } from './support/wire-end.js'

/** As docs/WIRE.md lists them. */
const RIGHTS = (/needs: `([^`]+)` on `castor:\*`/.exec(readFileSync('docs/WIRE.md', 'utf8'))?.[1] ?? '').split(' ')

function joining(t: Test, config: RedisConfig | string): WireEnd {
  const given = typeof config === 'string' ? redisAt(config) : config
  const end = new WireEnd(new RedisTransport(given, 'test'))
  t.teardown(() => end.transport.close())
  return end
}

const withoutLogin = { username: '', password: '', tls: false, ca: '' } as const

t.test('with a real Redis', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)

  t.test('a short break is made up for from the stream, without reading all that is kept', async (t) => {
    const [near, far] = [joining(t, redis.url), joining(t, redis.url)]
    await Promise.all([near.up(), far.up()])
    await near.save('kept', 'a kept one')
    await near.publish('before')
    await far.got('before')
    const scans = await commandCalls(redis, 'scan')
    // Only one of the two is cut off; it is told apart by the age of its connection.
    const clients = String(await redis.client.client('LIST')).split('\n')
    const ids = clients.filter((line) => line.includes('name=castor-test')).map((line) => /^id=(\d+)/.exec(line)![1]!)
    for (const id of ids) await redis.client.call('CLIENT', 'KILL', 'ID', id)
    await until('both down', () => near.downs.length > 0 && far.downs.length > 0)
    await redis.client.xadd('castor:{test}:stream', '*', 'f', 'meanwhile')
    await Promise.all([near.up(2), far.up(2)])
    await far.got('meanwhile')
    t.notOk(far.frames.includes('a kept one'), 'no snapshot')
    t.equal(await commandCalls(redis, 'scan'), scans)
  })

  t.test('where the stream was trimmed past the last entry read, all that is kept is read again', async (t) => {
    const end = joining(t, redis.url)
    await end.up()
    await end.publish('the last one read')
    await end.got('the last one read')
    await end.save('kept', 'kept meanwhile')
    await redis.client.config('SET', 'maxclients', 1)
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('down', () => end.downs.length > 0)
    for (let n = 0; n < 5; n++) await redis.client.xadd('castor:{test}:stream', '*', 'f', `trimmed ${n}`)
    await redis.client.xtrim('castor:{test}:stream', 'MAXLEN', '1')
    await redis.client.config('SET', 'maxclients', 1_000)
    await end.up(2)
    await end.got('kept meanwhile')
    t.notOk(end.frames.includes('trimmed 0'))
    t.same(end.ups.slice(1), [false])
  })

  t.test('a reader that was overtaken by the trimming reads all that is kept again', async (t) => {
    const end = joining(t, redis.url)
    await end.up()
    await end.publish('the last one read')
    await end.got('the last one read')
    // One transaction: the reader finds more than it takes at once, and the entries after its own gone.
    const many = redis.client.multi()
    many.set('castor:{test}:k:kept', 'kept while overtaken')
    for (let n = 0; n < 1_200; n++) many.xadd('castor:{test}:stream', '*', 'f', `entry ${n}`)
    many.xtrim('castor:{test}:stream', 'MAXLEN', '700')
    await many.exec()
    await end.got('kept while overtaken')
    await end.publish('goes on')
    await end.got('goes on')
    t.notOk(end.frames.includes('entry 0'))
    t.same(end.downs, [], 'without a break')
  })

  t.test('the stream stays short', async (t) => {
    const end = joining(t, redis.url)
    await end.up()
    const many = redis.client.pipeline()
    for (let n = 0; n < 12_000; n++) many.xadd('castor:{test}:stream', '*', 'f', 'x')
    await many.exec()
    await end.publish('one more')
    const length = await redis.client.xlen('castor:{test}:stream')
    t.ok(length >= 10_000 && length < 10_200, `${length} entries`)
  })

  for (const [what, rights, reason] of [
    ['with the rights of docs/WIRE.md alone it works', RIGHTS, undefined],
    ...RIGHTS.map(
      (right) => [`without ${right} it says so`, RIGHTS.filter((other) => other !== right), right] as const,
    ),
  ] as const) {
    t.test(`an ACL user: ${what}`, async (t) => {
      t.ok(RIGHTS.length > 5)
      const user = `user${reason?.slice(1) ?? ''}`
      await redis.client.acl('SETUSER', user, 'on', '>secret', 'resetkeys', '~castor:*', '-@all', ...rights)
      const end = joining(t, `redis://${user}:secret@127.0.0.1:${redis.port}`)
      if (reason === undefined) {
        await end.up()
        t.ok(await end.publish('allowed'))
        t.ok(await end.save('allowed', 'allowed'))
        await end.got('allowed')
        await new Promise((resolve) => setTimeout(resolve, 1_500))
        t.same(end.downs, [])
        return
      }
      await until('up, or the reason why not', () => end.downs.length + end.ups.length > 0)
      if (end.downs.length === 0) await end.publish('not allowed')
      await until('the reason', () => end.downs.length > 0)
      t.equal(end.downs[0], `its user is not authorised to run ${reason.slice(1).toUpperCase()}`)
    })
  }

  for (const [what, login, reason] of [
    ['a wrong password', 'known:wrong@', 'wrong password, or no such user'],
    ['an unknown user', 'nobody:secret@', 'wrong password, or no such user'],
    ['keys that are not allowed', 'known:secret@', 'its user is not authorised for the keys castor:*'],
  ] as const) {
    t.test(`${what}: ${reason}`, async (t) => {
      await redis.client.acl('SETUSER', 'known', 'on', '>secret', 'resetkeys', '~other:*', '+@all')
      const end = joining(t, `redis://${login}127.0.0.1:${redis.port}`)
      await until('the reason', () => end.downs.length > 0)
      t.equal(end.downs[0], reason)
      t.same(end.ups, [])
    })
  }
})

t.test('a password that is missing, a server that is not there, one that is full', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const locked = await RedisServer.start(t, { lines: ['requirepass secret'], password: 'secret' })
  const stranger = joining(t, locked.url)
  await until('the reason', () => stranger.downs.length > 0)
  t.equal(stranger.downs[0], 'it asks for a password, and none is configured')
  const nobody = joining(t, `redis://127.0.0.1:${await freePort()}`)
  await until('the reason', () => nobody.downs.length > 1)
  t.same([...new Set(nobody.downs)], ['connection refused'])
  const member = joining(t, `redis://:secret@127.0.0.1:${locked.port}`)
  await member.up()
  await locked.client.config('SET', 'maxmemory', '1')
  t.equal(await member.publish('too much'), false)
  await until('the reason', () => member.downs.length > 0)
  t.equal(member.downs[0], 'out of memory: maxmemory is reached and its policy evicts nothing')
  await locked.client.config('SET', 'maxmemory', '0')
  await member.up(2)
  t.ok(await member.publish('fits'))
})

t.test('over TLS, with a certificate that is trusted and with one that is not', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const openssl = toolOrSkip(t, 'openssl')
  if (openssl === undefined) return
  const tlsPort = await freePort()
  const { cert, secure } = secured(t.testdir(), openssl)
  await RedisServer.start(t, { lines: secure(tlsPort) })
  const distrustful = joining(t, `rediss://127.0.0.1:${tlsPort}`)
  await until('the reason', () => distrustful.downs.length > 0)
  t.match(distrustful.downs[0], /^TLS: .*self-signed/)
  t.equal(sealedTwice(redisAt(`rediss://127.0.0.1:${tlsPort}`), cert), 'sealed twice\n')
  const trustful = joining(t, { ...redisAt(`rediss://127.0.0.1:${tlsPort}`), ca: cert })
  await trustful.up()
  const lost = joining(t, { ...redisAt(`rediss://127.0.0.1:${tlsPort}`), ca: `${cert}.gone` })
  await until('the reason', () => lost.downs.length > 1)
  t.equal(lost.downs[0], 'the file of its authorities (ca) cannot be read')
})

t.test('a Redis Cluster of one node, all of whose slots are its own', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t, { lines: ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1'] })
  await redis.client.cluster('ADDSLOTSRANGE', 0, 16383)
  await until('a cluster', async () => String(await redis.client.cluster('INFO')).includes('cluster_state:ok'), 15_000)
  const config = { type: 'cluster', nodes: [{ host: '127.0.0.1', port: redis.port }], ...withoutLogin } as const
  const one = joining(t, config)
  await one.up()
  t.ok(await one.save('kept', 'kept'))
  const other = joining(t, config)
  await other.up()
  t.same(other.frames, ['kept'])
  await one.publish('through a cluster')
  await other.got('through a cluster')
  await redis.end('SIGKILL')
  await until('down', () => one.downs.length > 0, 10_000)
  t.match(one.downs.at(-1), /^(connection (lost|refused|reset)|no node of the Redis Cluster answers)$/)
})

t.test('a Redis Cluster over TLS', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const openssl = toolOrSkip(t, 'openssl')
  if (openssl === undefined) return
  const tlsPort = await freePort()
  const { cert, secure } = secured(t.testdir(), openssl)
  const own = ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', 'tls-cluster yes']
  const redis = await RedisServer.start(t, { lines: [...secure(tlsPort), ...own] })
  await redis.client.cluster('ADDSLOTSRANGE', 0, 16383)
  await until('a cluster', async () => String(await redis.client.cluster('INFO')).includes('cluster_state:ok'), 15_000)
  const nodes = [{ host: '127.0.0.1', port: tlsPort }]
  const config = { type: 'cluster', nodes, ...withoutLogin, tls: true, ca: cert } as const
  const one = joining(t, config)
  await one.up()
  t.ok(await one.save('kept', 'kept'))
  const other = joining(t, config)
  await other.up()
  t.same(other.frames, ['kept'])
  await one.publish('sealed twice')
  await other.got('sealed twice')
  const huge = 1_000_000
  await redis.client.call('SETRANGE', 'castor:{test}:k:huge', huge, 'x')
  const late = joining(t, config)
  await late.up()
  t.same([...late.frames].sort(), ['', 'kept'], 'what is too long is left out here as well')
  const distrustful = joining(t, { ...config, ca: '' })
  // The client library keeps what TLS said to itself here.
  await until('the reason', () => distrustful.downs.length > 1, 10_000)
  t.same([distrustful.downs[0], distrustful.ups], ['connection lost', []])
})

t.test('sentinels that are not there, and a master that they do not know', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const port = await freePort()
  const sentinel = {
    type: 'sentinel',
    name: 'castor',
    sentinelUsername: '',
    sentinelPassword: '',
    ...withoutLogin,
  } as const
  const end = joining(t, { ...sentinel, sentinels: [{ host: '127.0.0.1', port }] })
  await until('the reason', () => end.downs.length > 0)
  t.match(end.downs[0], /^no sentinel names a master/)
  const master = await RedisServer.start(t)
  await RedisServer.start(t, {
    port,
    sentinel: true,
    lines: [`sentinel monitor castor 127.0.0.1 ${master.port} 1`],
  })
  await end.up()
  t.ok(await end.publish('by way of a sentinel'))
})

t.test('over TLS, by way of a sentinel, with users of their own at both', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const openssl = toolOrSkip(t, 'openssl')
  if (openssl === undefined) return
  const { cert, secure } = secured(t.testdir(), openssl)
  const [masterTls, sentinelTls] = [await freePort(), await freePort()]
  const user = 'user member on >secret ~castor:* -@all '
  await RedisServer.start(t, { lines: [...secure(masterTls), user + RIGHTS.join(' ')] })
  const own = [
    'user asker on >asked allchannels -@all +subscribe +ping +sentinel|get-master-addr-by-name +sentinel|sentinels',
  ]
  own.push('user default off', `sentinel monitor castor 127.0.0.1 ${masterTls} 1`, 'sentinel auth-user castor default')
  await RedisServer.start(t, { sentinel: true, lines: [...secure(sentinelTls), 'tls-replication yes', ...own] })
  const config = {
    type: 'sentinel',
    name: 'castor',
    sentinels: [{ host: '127.0.0.1', port: sentinelTls }],
    sentinelUsername: 'asker',
    sentinelPassword: 'asked',
    username: 'member',
    password: 'secret',
    tls: true,
    ca: '',
  } as const
  t.equal(sealedTwice(config, cert), 'sealed twice\n')
  await joining(t, { ...config, ca: cert }).up()
  t.match(sealedTwice({ ...config, sentinelUsername: '' }, cert), /^no sentinel names a master/)
})

t.test('passwords with every character that means something in a URL', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const password = '50%/of#all?p@ss:words&%41 ü'
  const username = 'a/b%c#d?e@f'
  const rights = ['~castor:*', '-@all', ...RIGHTS]
  await redis.client.acl('SETUSER', username, 'on', `>${password}`, ...rights)
  const login = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`
  await joining(t, `redis://${login}@127.0.0.1:${redis.port}`).up()
  const address = { host: '127.0.0.1', port: redis.port }
  await joining(t, { type: 'single', address, database: 0, ...withoutLogin, username, password }).up()
  await redis.client.config('SET', 'requirepass', password)
  await joining(t, { type: 'single', address, database: 3, ...withoutLogin, password }).up()
  t.pass('with a user, with a password alone, in a URL and in keys')
})

/** A certificate, and the lines by which a server uses it. */
function secured(folder: string, openssl: string): { cert: string; secure: (port: number) => string[] } {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const named = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync(openssl, [...made, ...named, '-keyout', key, '-out', cert], { stdio: 'pipe' })
  const files = [`tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${cert}`, 'tls-auth-clients no']
  return { cert, secure: (port) => [`tls-port ${port}`, ...files] }
}

/** What a process that trusts the certificate says: the system's authorities are read when a process starts. */
function sealedTwice(config: object, cert: string): string {
  const program = `
    import { RedisTransport } from ${JSON.stringify(new URL('../../src/mesh/redis-transport.js', import.meta.url).href)}
    const transport = new RedisTransport(${JSON.stringify(config)}, 'test')
    transport.open({
      onDown: (reason) => { console.log(reason); process.exit(0) },
      onFrame: (frame) => { console.log(String(frame)); process.exit(0) },
      onUp: () => transport.publish(Buffer.from('sealed twice'), () => {}),
    })`
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: cert },
    encoding: 'utf8',
    timeout: 20_000,
  })
}

async function commandCalls(redis: RedisServer, command: string): Promise<number> {
  const stats = await redis.client.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}
