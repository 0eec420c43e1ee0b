import t from 'tap'
import { type Asked, ask, fixture, startImported, withTargets } from './support/imported.js'

/** Traefik is in no distribution that the tests run on: what its documentation says of these requests is written down. */

t.test('routers go by their rules and priorities', async (t) => {
  const text = await withTargets(t, fixture('traefik-shop.yml').replace(/^ +- url: .*10\.3\.0\.2.*$/m, ''))
  const { balancer, translation } = await startImported(t, text, 'traefik')
  t.same(
    translation.findings.filter(({ kind }) => kind === 'untranslated'),
    [],
  )
  const [app, api] = ['10.3.0.1:8080', '10.3.0.3:8080']
  const cases: readonly (readonly [Asked, number, string])[] = [
    [['/', 'shop.example'], 200, app],
    [['/', 'www.shop.example'], 200, app],
    [['/api', 'shop.example'], 200, api],
    [['/api/x', 'shop.example'], 200, api],
    [['/apis', 'shop.example'], 200, api],
    [['/api/x', 'shop.example', [], 'DELETE'], 200, app],
    [['/api', 'shop.example', [], 'PATCH'], 200, app],
    [['/api/x', 'www.shop.example'], 200, app],
    [['/status', 'shop.example'], 200, api],
    [['/status', 'other.example'], 200, api],
    [['/v2/x', 'other.example'], 200, api],
    [['/v/x', 'other.example'], 404, ''],
    [['/', 'other.example'], 404, ''],
  ]
  for (const [asked, status, body] of cases) {
    t.match(await ask(balancer.port, asked), { status, body }, JSON.stringify(asked))
  }
  const split = new Set<string>()
  for (let i = 0; i < 8; i++) split.add((await ask(balancer.port, ['/api/', 'shop.example', ['x-beta: 1']])).body)
  t.same([...split].sort(), [app, api])
})

t.test('entry points have the addresses of the file, and a redirecting middleware answers', async (t) => {
  const text = fixture('traefik-edge.yml').replace(/\n {4}secure:[\s\S]*?tls: \{\}/, '')
  const { balancer, translation } = await startImported(t, text, 'traefik')
  t.same(
    translation.findings.map(({ line, kind }) => [line, kind]),
    [
      [15, 'untranslated'],
      [30, 'untranslated'],
    ],
  )
  const said = await ask(balancer.port, ['/a?b=c', 'edge.example'])
  t.match(said, { status: 301, location: 'https://edge.example/a?b=c' })
})
