import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import t from 'tap'
import { packageRoot } from '../meta/sources.js'
import { startChild } from './support/child-castor.js'
import { pluginFolder } from './support/plugins.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { eventually } from './support/waiting.js'

const example = (name: string): string => join(packageRoot(), 'config/plugins', `${name}.mjs`)
const SECRET = 'a-secret-of-sixteen-characters'

/** The program with all examples, each for the paths below its name, and maintenance for everything. */
t.test('the examples of plug-ins', async (t) => {
  const folder = pluginFolder(t)
  const targets = await Promise.all(
    ['app', 'next'].map(async (name) => {
      const target = await RawTarget.start({ answer: (_asked, connection) => connection.write(ok(name)) })
      t.teardown(() => target.stop())
      return target
    }),
  )
  const [app, next] = targets as [RawTarget, RawTarget]

  const keys: JWK[] = []
  let fetches = 0
  const jwks = createServer((_request, response) => {
    fetches++
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ keys }))
  })
  jwks.listen(0, '127.0.0.1')
  await once(jwks, 'listening')
  t.teardown(() => {
    jwks.closeAllConnections()
    jwks.close()
  })
  const addKey = async (kid: string): Promise<CryptoKey> => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    keys.push({ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' })
    return privateKey
  }
  const first = await addKey('first')
  const tokenOf = (key: CryptoKey, kid: string, claims: object = {}): Promise<string> =>
    new SignJWT({ sub: 'alice', iss: 'https://id.example', aud: 'shop', exp: Date.now() / 1000 + 60, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(key)

  const page = join(folder, 'sorry.html')
  const flag = join(folder, 'maintenance')
  writeFileSync(page, '<p>sorry</p>')
  const jwksUrl = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/keys`
  const rule = (path: string, plugin: string) => ({ match: { path }, forward: 'app', plugins: [plugin] })
  const castor = await startChild(
    t,
    {
      workers: 1,
      plugins: [
        { module: example('maintenance'), options: { while: flag, page, exceptPaths: ['/alive'] } },
        {
          module: example('jwt'),
          options: { jwks: jwksUrl, issuer: 'https://id.example', audience: 'shop', cooldownMs: 0 },
        },
        { module: example('basic-auth'), options: { realm: 'shop', users: { alice: '${ALICE_PASSWORD}' } } },
        { module: example('ab-header'), options: { groups: { b: 'next' } }, targetGroups: ['next'] },
        { module: example('sign-request'), options: { secret: SECRET } },
      ],
      listeners: [
        {
          name: 'in',
          protocol: 'http',
          listen: '127.0.0.1:0',
          targetGroup: 'app',
          rules: [
            rule('/jwt/*', 'jwt'),
            rule('/basic/*', 'basic-auth'),
            rule('/ab/*', 'ab-header'),
            { ...rule('/signed/*', 'sign-request'), rewrite: { path: '/inner/*', host: 'inner.example' } },
          ],
        },
      ],
      targetGroups: [
        { name: 'app', protocol: 'http', targets: [{ address: app.address }] },
        { name: 'next', protocol: 'http', targets: [{ address: next.address }] },
      ],
    },
    { env: { ALICE_PASSWORD: 'open: sesame' } },
  )
  const port = castor.port()
  const ask = (path: string, ...lines: string[]) => request(port, get(path, lines))
  const last = () => app.requests.at(-1)!

  await t.test(
    'a token is checked against keys that are fetched, kept, and fetched anew after a rotation',
    async (t) => {
      const bearer = (token: string): string => `Authorization: Bearer ${token}`
      const none = await ask('/jwt/a')
      t.equal(none.status, 401)
      t.match(none.header('www-authenticate'), 'Bearer')
      t.equal(fetches, 0)
      const good = await tokenOf(first, 'first')
      t.equal((await ask('/jwt/a', bearer(good), 'X-User: root')).text, 'app')
      t.equal(last().header('x-user'), 'alice')
      t.equal((await ask('/jwt/a', bearer(good))).text, 'app')
      t.equal(fetches, 1, 'the keys are kept')
      const bad: readonly (readonly [string, string])[] = [
        ['another audience', await tokenOf(first, 'first', { aud: 'other' })],
        ['another issuer', await tokenOf(first, 'first', { iss: 'https://evil.example' })],
        ['over', await tokenOf(first, 'first', { exp: 1 })],
        ['changed', `${good.slice(0, -4)}AAAA`],
        ['unsigned', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`],
        ['nonsense', 'abc'],
      ]
      for (const [what, token] of bad) t.equal((await ask('/jwt/a', bearer(token))).status, 401, what)
      const second = await addKey('second')
      keys.shift()
      t.equal((await ask('/jwt/a', bearer(await tokenOf(second, 'second')))).text, 'app', 'a new key')
      t.equal((await ask('/jwt/a', bearer(await tokenOf(first, 'first')))).status, 401, 'a key that is gone')
      t.ok(fetches >= 2)
    },
  )

  await t.test('a name and a password are asked for', async (t) => {
    const basic = (text: string): string => `Authorization: Basic ${Buffer.from(text).toString('base64')}`
    const none = await ask('/basic/a')
    t.equal(none.status, 401)
    t.equal(none.header('www-authenticate'), 'Basic realm="shop", charset="UTF-8"')
    for (const wrong of ['alice:', 'alice', ':', 'bob:open: sesame', 'alice:open: sesam', '']) {
      t.equal((await ask('/basic/a', basic(wrong))).status, 401, wrong)
    }
    t.equal((await ask('/basic/a', basic('alice:open: sesame'), 'X-User: root')).text, 'app')
    t.equal(last().header('x-user'), 'alice')
    t.equal(last().header('authorization'), undefined)
  })

  await t.test('a header chooses the group', async (t) => {
    t.equal((await ask('/ab/a')).text, 'app')
    t.equal((await ask('/ab/a', 'X-Variant: c')).text, 'app')
    const other = await ask('/ab/a', 'X-Variant: b')
    t.equal(other.text, 'next')
    t.equal(other.header('vary'), 'x-variant')
    t.equal((await ask('/else', 'X-Variant: b')).text, 'app')
  })

  await t.test('what the target gets is signed, after the rewrite', async (t) => {
    await ask('/signed/a?b=c', 'X-Castor-Signature: forged')
    const sent = last()
    t.equal(sent.target, '/inner/a?b=c')
    const signed = ['GET', 'inner.example', sent.target, sent.header('x-castor-time')].join('\n')
    t.equal(sent.header('x-castor-signature'), createHmac('sha256', SECRET).update(signed).digest('hex'))
  })

  await t.test('maintenance begins and ends with a file', async (t) => {
    t.equal((await ask('/')).text, 'app')
    writeFileSync(flag, '')
    await eventually('it has begun', async () => (await ask('/')).status === 503)
    const answer = await ask('/jwt/a')
    t.equal(answer.status, 503)
    t.equal(answer.text, '<p>sorry</p>')
    t.equal(answer.header('retry-after'), '300')
    t.equal((await ask('/alive')).text, 'app')
    rmSync(flag)
    await eventually('it is over', async () => (await ask('/')).status === 200)
  })
  t.equal((await castor.metrics()).sum('castor_plugin_failures_total'), 0)
})
