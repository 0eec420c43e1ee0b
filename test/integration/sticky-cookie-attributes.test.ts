import t from 'tap'
import { startBalancer } from './support/balancer.js'
import { type Test, UNWATCHED } from './support/castor.js'
import { get, type RawResponse, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, secured } from './support/tls.js'

/** A browser's cookies of one host: of all its ports together (RFC 6265 8.5). */
class Jar {
  readonly #cookies = new Map<string, string>()

  keep(response: RawResponse): void {
    for (const [name, value] of response.fields) {
      if (name.toLowerCase() !== 'set-cookie') continue
      const [pair = ''] = value.split(';')
      this.#cookies.set(pair.split('=')[0]!, pair)
    }
  }

  get lines(): string[] {
    return this.#cookies.size === 0 ? [] : [`Cookie: ${[...this.#cookies.values()].join('; ')}`]
  }
}

async function targets(t: Test, count: number): Promise<RawTarget[]> {
  const all = await Promise.all(Array.from({ length: count }, () => RawTarget.start()))
  for (const target of all) t.teardown(() => target.stop())
  return all
}

t.test('two sticky groups on one host keep their clients in one browser', async (t) => {
  const all = await targets(t, 6)
  const addresses = all.map(({ address }) => ({ address }))
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: ['shop', 'blog'].map((name) => ({ name, protocol: 'http', listen: '127.0.0.1:0', targetGroup: name })),
    targetGroups: ['shop', 'blog'].map((name, i) => ({
      name,
      protocol: 'http',
      targets: addresses.slice(i * 3, i * 3 + 3),
      stickiness: { type: 'cookie' },
    })),
  })
  const jar = new Jar()
  const served = (): (string | undefined)[] => all.map(({ requests }) => requests.at(-1)?.target)
  for (let round = 0; round < 4; round++) {
    for (const name of ['shop', 'blog']) {
      jar.keep(await request(castor.portOf(name), get(`/${name}`, jar.lines)))
    }
  }
  t.same(served().filter(Boolean).sort(), ['/blog', '/shop'], 'one target of each group has had all requests')
  t.match(jar.lines[0], /CASTOR-shop=[0-9a-f]{32}; CASTOR-blog=[0-9a-f]{32}$/)
})

const PLAIN: readonly [string, object, RegExp][] = [
  ['the defaults', {}, /^CASTOR-app=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax$/],
  ['sameSite: strict', { sameSite: 'strict' }, /; HttpOnly; SameSite=Strict$/],
  ['sameSite: none', { sameSite: 'none', secure: true }, /; SameSite=None; Secure$/],
  [
    'a domain',
    { domain: 'Shop.Example', maxAge: 60 },
    /^[^;]*; Path=\/; Domain=shop\.example; HttpOnly; SameSite=Lax; Max-Age=60$/,
  ],
  ['secure: true, behind TLS that ends elsewhere', { secure: true }, /; SameSite=Lax; Secure$/],
]

for (const [what, keys, expected] of PLAIN) {
  t.test(`with ${what} a browser gets the cookie so`, async (t) => {
    const [target] = await targets(t, 1)
    const castor = await startBalancer(t, {
      workers: 1,
      listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'app' }],
      targetGroups: [
        {
          name: 'app',
          protocol: 'http',
          targets: [{ address: target!.address }],
          stickiness: { type: 'cookie', ...keys },
        },
      ],
    })
    t.match((await request(castor.port, get('/'))).header('set-cookie'), expected)
  })
}

t.test('over https the cookie is Secure, unless secure: false', async (t) => {
  const [target] = await targets(t, 1)
  const certificate = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const group = { protocol: 'http', targets: [{ address: target!.address }], ...UNWATCHED }
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: ['auto', 'never'].map((name) => ({
      name,
      listen: '127.0.0.1:0',
      targetGroup: name,
      ...secured([certificate]),
    })),
    targetGroups: [
      { name: 'auto', ...group, stickiness: { type: 'cookie' } },
      { name: 'never', ...group, stickiness: { type: 'cookie', secure: false } },
    ],
  })
  for (const [name, expected] of [
    ['auto', /^CASTOR-auto=.*; SameSite=Lax; Secure$/],
    ['never', /^CASTOR-never=.*; SameSite=Lax$/],
  ] as const) {
    const { headers } = await ask(castor.portOf(name), { servername: 'shop.example' })
    t.match(headers['set-cookie']?.[0], expected)
  }
})
