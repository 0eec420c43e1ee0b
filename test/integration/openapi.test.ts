import t from 'tap'
import { ROUTES } from '../../src/admin/routes.js'
import { onePair, startBalancer } from './support/balancer.js'
import { ask as askAdmin } from './support/operator.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, refusedHandshake, secured } from './support/tls.js'

t.test('a running balancer answers in the form that its OpenAPI document says, to the last field', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const files = authorityFor(t).issue('shop', { names: ['shop.example'] })
  const rules = [{ name: 'own', match: { path: '/own' }, respond: { status: 204 } }]
  const config = onePair('http', [target.address, '127.0.0.1:1'], { listener: secured([files], {}, { rules }) })
  const balancer = await startBalancer(t, config)
  for (let i = 0; i < 4; i++) await ask(balancer.port)
  await refusedHandshake(balancer.port, { maxVersion: 'TLSv1.1' })
  const { port } = balancer.running.admin
  const group = '/api/v1/target-groups/out'
  const one = `${group}/targets/127.0.0.1:1`
  const cases: [string, string, string, unknown?][] = [
    ['GET', '/api/v1/status', '/api/v1/status'],
    ['GET', '/api/v1/listeners', '/api/v1/listeners'],
    ['GET', '/api/v1/target-groups', '/api/v1/target-groups'],
    ['GET', group, '/api/v1/target-groups/{group}'],
    ['PATCH', one, '/api/v1/target-groups/{group}/targets/{id}', { state: 'maintenance', weight: 1 }],
    ['DELETE', one, '/api/v1/target-groups/{group}/targets/{id}'],
    ['POST', `${group}/targets`, '/api/v1/target-groups/{group}/targets', { address: '127.0.0.2:9' }],
    ['GET', '/api/v1/status', '/api/v1/status'],
    ['GET', '/api/v1/sessions', '/api/v1/sessions'],
    ['GET', '/api/v1/explain?url=https://shop.example/a&listener=in', '/api/v1/explain'],
    ['GET', '/api/v1/explain?url=https://shop.example/own&listener=in', '/api/v1/explain'],
    ['GET', '/api/v1/config', '/api/v1/config'],
  ]
  for (const [method, path, template, body] of cases) {
    const { code, json, text } = await askAdmin(port, method, path, body)
    const route = ROUTES.find((each) => each.method === method && each.path === template)!
    const result = route.answers[code]?.schema?.safeParse(json)
    t.ok(result?.success, `${method} ${path}: ${code} ${result?.error?.message ?? text.slice(0, 300)}`)
  }
})
