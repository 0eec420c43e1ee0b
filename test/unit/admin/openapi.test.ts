import { Validator } from '@seriousme/openapi-schema-validator'
import fc from 'fast-check'
import t from 'tap'
import { errorAnswer, errorsOf, openApiDocument } from '../../../src/admin/openapi.js'
import type { Route } from '../../../src/admin/route.js'
import { ROUTES } from '../../../src/admin/routes.js'
import { startAdmin } from '../../../src/admin/server.js'
import { diffConfigs } from '../../../src/config/diff.js'
import type { Explanation } from '../../../src/core/explanation.js'
import { ask } from '../../integration/support/operator.js'
import { SEED } from '../../random.js'
import { CLUSTER, FakeFacts, SECRET } from './fake-facts.js'

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[]
  readonly responses: Readonly<Record<string, unknown>>
}

const operations = (document: object): [string, Operation][] =>
  Object.entries((document as { paths: Record<string, Record<string, Operation>> }).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  )

const named = (route: Route): string => `${route.method} ${route.path}`

t.test('what describes the API is a valid OpenAPI document', async (t) => {
  const document = openApiDocument(ROUTES, '1.2.3')
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)))
  t.ok(valid, JSON.stringify(errors, null, 1))
  const broken = await new Validator().validate({ ...document, paths: { '/a': { get: { responses: 1 } } } })
  t.notOk(broken.valid, 'a wrong one would be noticed')
})

t.test('every route is in the document with its parameters and errors, and nothing else', async (t) => {
  const all = new Map(operations(openApiDocument(ROUTES, '1.2.3')))
  t.same([...all.keys()].sort(), ROUTES.map(named).sort())
  t.equal(new Set([...all.values()].map(({ operationId }) => operationId)).size, ROUTES.length, 'names of their own')
  for (const route of ROUTES) {
    const { parameters = [], responses } = all.get(named(route))!
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    t.same(
      parameters.filter((each) => each.in === 'path' && each.required).map(({ name }) => name),
      inPath,
      named(route),
    )
    for (const status of Object.keys(route.answers)) t.hasOwnProp(responses, status, named(route))
    t.ok(errorsOf(route).length > 0)
  }
  const references = [...JSON.stringify(openApiDocument(ROUTES, '1')).matchAll(/"\$ref":"([^"]+)"/g)]
  t.ok(references.length > 10)
  const { components } = openApiDocument(ROUTES, '1') as { components: { schemas: Record<string, unknown> } }
  for (const [, to] of references) t.hasOwnProp(components.schemas, to!.replace('#/components/schemas/', ''))
})

t.test('the document is served as it is made, and wants the token', async (t) => {
  const facts = new FakeFacts({ token: SECRET })
  const admin = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => admin.close())
  const url = `http://127.0.0.1:${admin.port}/openapi.json`
  t.equal((await fetch(url)).status, 401)
  const response = await fetch(url, { headers: { authorization: `Bearer ${SECRET}` } })
  t.match(response.headers.get('content-type'), /^application\/json/)
  t.same(await response.json(), JSON.parse(JSON.stringify(openApiDocument(ROUTES, facts.version))))
})

/** What is wrong with an answer by its route's description; empty where nothing is. */
function offences(route: Route, code: number, text: string): string {
  const declared = route.answers[code]
  if (declared !== undefined && declared.schema === undefined) return ''
  const schema = declared?.schema ?? errorAnswer
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return `no JSON: ${text.slice(0, 100)}`
  }
  const results = [schema, ...(declared === undefined && route.refusal ? [route.refusal] : [])].map((one) =>
    one.safeParse(value),
  )
  if (!results.some(({ success }) => success)) return `${results[0]!.error?.message}\n${text.slice(0, 300)}`
  if (declared !== undefined) return ''
  const { code: said } = (value as { error: { code: string } }).error
  return (errorsOf(route) as string[]).includes(said) ? '' : `${said} is none of its errors`
}

const EXPLAINED: Explanation = {
  ...{ version: 1, listener: 'web', from: '127.0.0.1', considered: [], plugins: [], rule: null, outcome: 'no-rule' },
  ...{ status: 404, location: null, groups: [] },
  split: { cookie: 'CASTOR-SPLIT-1', group: null },
  edits: {
    refused: null,
    rewritten: { target: '/', host: null },
    request: { removed: ['x-a'], written: ['x-a: b'] },
    response: null,
  },
  mirror: { targetGroup: 'shadow', percent: 10, maxBodyBytes: 65_536 },
  limits: {
    ...{ maxHeaderBytes: 32_768, maxHeaders: 128, headerTimeoutMs: 10_000, bodyMinRateBytesPerSecond: 500 },
    ...{ idleTimeoutMs: 60_000, responseTimeoutMs: null },
  },
}

/** A process of which everything can be asked. */
function talkative(): FakeFacts {
  const facts = new FakeFacts()
  facts.traffic(500, Math.random)
  Object.assign(facts, { cluster: CLUSTER, explain: () => EXPLAINED })
  return facts
}

t.test('what is answered has the form that the document says, to the last field', async (t) => {
  const facts = talkative()
  const admin = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => admin.close())
  const changes = diffConfigs(facts.config, { ...facts.config, workers: 9, drainDelayMs: 1000 })
  const problem = { source: 'castor.yaml', line: 7, column: 3, path: 'speed', message: 'unknown key' }
  const outcomes = {
    applied: { result: 'applied', version: 2, changes, warnings: [problem] },
    invalid: { result: 'invalid', problems: [problem] },
    restart: { result: 'restart-required', changes },
    failed: { result: 'failed', message: 'the address is in use' },
  } as const
  const target = '/api/v1/target-groups/app/targets/10.0.0.11%3A9001'
  const cases: [string, string, number, unknown?, (keyof typeof outcomes)?][] = [
    ['GET', '/healthz', 200],
    ['GET', '/readyz', 200],
    ['GET', '/metrics', 200],
    ['GET', '/openapi.json', 200],
    ['GET', '/api/v1/status', 200],
    ['GET', '/api/v1/listeners', 200],
    ['GET', '/api/v1/target-groups', 200],
    ['GET', '/api/v1/target-groups/app', 200],
    ['GET', '/api/v1/target-groups/none', 404],
    ['GET', '/api/v1/cluster', 200],
    ['GET', '/api/v1/sessions', 200],
    ['GET', '/api/v1/sessions?group=app&limit=3', 200],
    ['GET', '/api/v1/sessions?group=none', 404],
    ['GET', '/api/v1/sessions?limit=x', 400],
    ['GET', '/api/v1/explain?url=http://a/', 200],
    ['GET', '/api/v1/explain', 400],
    ['PATCH', target, 200, { weight: 3, state: 'draining' }],
    ['PATCH', target, 400, {}],
    ['PATCH', '/api/v1/target-groups/app/targets/none', 404, { weight: 3 }],
    ['POST', '/api/v1/target-groups/app/targets', 201, { address: '10.0.0.9:1' }],
    ['POST', '/api/v1/target-groups/app/targets', 409, { address: '10.0.0.9:1' }],
    ['POST', '/api/v1/target-groups/app/targets', 413, { address: ' '.repeat(9_000) }],
    ['GET', '/api/v1/config', 200],
    ['GET', '/api/v1/config/diff', 200],
    ['GET', '/api/v1/config/diff', 422, undefined, 'invalid'],
    ['POST', '/api/v1/reload', 200, {}, 'applied'],
    ['POST', '/api/v1/reload', 422, {}, 'invalid'],
    ['POST', '/api/v1/reload', 409, {}, 'restart'],
    ['POST', '/api/v1/reload', 500, {}, 'failed'],
    ['GET', '/api/v1/status', 200],
    ['DELETE', target, 202],
    ['DELETE', `${target}?now=true`, 200],
    ['DELETE', target, 404],
    ['GET', '/api/v1/audit', 200],
    ['GET', '/api/v1/audit?limit=0', 400],
    ['POST', '/api/v1/drain-host', 202],
    ['POST', '/api/v1/upgrade', 403, { program: '/bin/true' }],
    ['POST', '/api/v1/upgrade', 200, {}],
  ]
  const seen = new Set<string>()
  for (const [method, path, expected, body, outcome] of cases) {
    if (outcome !== undefined) facts.reloading.outcome = outcomes[outcome]
    const { code, text } = await ask(admin.port, method, path, body)
    const route = ROUTES.find((each) => each.method === method && isOf(each.path, path.split('?')[0]!))!
    t.equal(code, expected, `${method} ${path}: ${text.slice(0, 200)}`)
    t.equal(offences(route, code, text), '', `${method} ${path}`)
    seen.add(`${named(route)} ${code}`)
  }
  const declared = ROUTES.flatMap((route) => Object.keys(route.answers).map((code) => `${named(route)} ${code}`))
  const elsewhere = ['GET / 200', 'GET / 404', 'GET /readyz 503', 'GET /api/v1/events 200']
  t.same(
    declared.filter((each) => !seen.has(each)),
    declared.filter((each) => elsewhere.includes(each)),
    'each answer was seen here or is in server.test.ts',
  )
})

function isOf(template: string, path: string): boolean {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)
}

/** Everything that a change could have changed. */
const state = (facts: FakeFacts, more: object): string =>
  JSON.stringify([
    more,
    facts.targets,
    facts.targets.map(({ slot }) => [facts.table.weight(slot), facts.table.admin(slot)]),
    facts.reloading.asked.filter((each) => each !== 'preview'),
  ])

t.test('whatever is asked, nothing fails, and what is refused changes nothing', async (t) => {
  const facts = talkative()
  const counts = { drained: 0, upgraded: 0 }
  Object.assign(facts, {
    drainHost: () => [String(counts.drained++)],
    upgrades: { hindrance: undefined, isHandingOver: false, run: async () => void counts.upgraded++ },
  })
  const admin = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => admin.close())
  const word = fc.oneof(
    fc.constantFrom('app', 'postgres', 'targets', '10.0.0.12%3A9002', '..', '%2e%2e', '%zz', '%00', '__proto__'),
    fc.string({ maxLength: 12 }).map(encodeURIComponent),
  )
  const path = fc.oneof(
    fc
      .constantFrom(...ROUTES.map((route) => route.path))
      .chain((template) =>
        fc.tuple(word, word).map(([group, id]) => template.replace('{group}', group).replace('{id}', id)),
      ),
    fc.array(word, { maxLength: 6 }).map((words) => `/${words.join('/')}`),
  )
  const query = fc.oneof(
    fc.constant(''),
    fc
      .array(fc.tuple(fc.constantFrom('now', 'persist', 'limit', 'cursor', 'group', 'url', 'header', 'x'), word))
      .map((all) => `?${all.map(([name, value]) => `${name}=${value}`).join('&')}`),
  )
  const field = fc.constantFrom('weight', 'state', 'persist', 'address', 'id', 'dryRun', 'program', '__proto__', 'x')
  const value = fc.oneof(
    fc.constantFrom('draining', '10.0.0.77:80', true, 5, 101, -1, 0.5, null, {}, []),
    fc.jsonValue(),
  )
  const body = fc.oneof(
    fc.constant(undefined),
    fc.dictionary(field, value, { maxKeys: 4 }).map((fields) => JSON.stringify(fields)),
    fc.json(),
    fc.string(),
  )
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PUT', 'PROPFIND')
  const refused = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(method, path, query, body, async (method, path, query, body) => {
      // A stream has no end, and nobody reads it here.
      if (path === '/api/v1/events' && method === 'GET') return
      const before = state(facts, counts)
      const { code, text } = await ask(admin.port, method, path + query, /^P[OA]/.test(method) ? body : undefined)
      refused.set(code, (refused.get(code) ?? 0) + 1)
      if (code >= 500) throw new Error(`${code} ${text}`)
      if (code >= 400 && method !== 'HEAD' && path !== '/') JSON.parse(text)
      const isChange = method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
      if ((code >= 400 || !isChange) && state(facts, counts) !== before) throw new Error(`${code} changed something`)
    }),
    { seed: SEED, numRuns: 250 },
  )
  t.comment(
    [...refused]
      .sort()
      .map(([code, times]) => `${code}: ${times}`)
      .join(', '),
  )
  for (const code of [200, 400, 404, 405]) t.ok((refused.get(code) ?? 0) > 3, `${code} was seen`)
})
