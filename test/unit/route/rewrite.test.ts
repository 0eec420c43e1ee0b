import { deepEqual, equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { normalizePath } from '../../../src/core/normal-path.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { RequestPath } from '../../../src/route/request-path.js'
import { Rewrite } from '../../../src/route/rewrite.js'
import type { TemplateFacts } from '../../../src/route/template.js'
import { SEED } from '../../random.js'

t.comment(`seed ${SEED}`)

const LIMITS = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 }

interface Config {
  readonly path?: string
  readonly host?: string
  readonly query?: string
}

/** What becomes of a request; undefined where it is none. */
function rewritten(config: Config, paths: readonly string[], target: string, captures: string[] = [], header = '') {
  const head = `GET ${target} HTTP/1.1\r\nHost: shop.example\r\nX-A: ${header}\r\n\r\n`
  const parser = new RequestParser(LIMITS)
  parser.reset()
  const buffer = Buffer.from(head, 'latin1')
  if (parser.parse(buffer, 0, buffer.length) !== PARSE_COMPLETE) return undefined
  const facts: TemplateFacts = {
    parser,
    buffer,
    start: 0,
    client: { family: 6, address: '2001:db8::1', port: 4711 },
    port: 80,
    scheme: 'http',
    requestId: Buffer.from('id/1'),
    listener: 'web',
    rule: 'api',
    targetGroup: 'app',
    target: '',
    tlsVersion: '',
    tlsServerName: '',
    captures,
  }
  const path = new RequestPath()
  path.take(parser, buffer, 0)
  const rewrite = new Rewrite(
    { path: undefined, host: undefined, query: undefined, ...config, responses: false },
    paths,
  )
  const status = rewrite.write(facts, path)
  const bytes = Buffer.from(rewrite.out.bytes).toString('latin1')
  if (status !== 0) return { status }
  return { target: bytes.slice(0, rewrite.targetEnd), host: bytes.slice(rewrite.targetEnd, rewrite.hostEnd) }
}

t.test('targets are rewritten, the rest of a prefix carried over in normal form', async (t) => {
  for (const [config, paths, target, expected] of [
    [{ path: '/*' }, ['/api/*'], '/api/a/b?q=1', '/a/b?q=1'],
    [{ path: '/*' }, ['/api/*'], '/api/', '/'],
    [{ path: '/*' }, ['/api/*'], '/api//evil.example/a', '/evil.example/a'],
    [{ path: '/*' }, ['/api/*'], '/x/../api/a/./b//c/%61%2f', '/a/b/c/a%2F'],
    [{ path: '/new/*' }, ['/a/*', '/a/b/*'], '/a/b/c', '/new/c'],
    [{ path: '/new/*' }, ['/a/*', '/a/b/*'], '/a/c', '/new/c'],
    [{ path: '/new/*' }, [], '/a?', '/new/a?'],
    [{ path: '/whole' }, ['/a/*'], '/a/b?q', '/whole?q'],
    [{ path: '/whole', query: '' }, ['/a/*'], '/a/b?q', '/whole'],
    [{ query: 'v=2&${query}' }, [], '/a//%62?q', '/a//%62?v=2&q'],
    [{ query: 'h=${header.x-a}' }, [], '/', '/?h=x%26y%3D%20z%23'],
    [{ path: '/${header.x-a}' }, [], '/', '/x%26y%3D%20z%23'],
    [{ path: '/p/${query.f}/x' }, [], '/?f=a%2Fb+c;d', '/p/a%2Fb%20c%3Bd/x?f=a%2Fb+c;d'],
    [{ path: '/${client_ip}/${request_id}${path}' }, [], '/a', '/2001%3Adb8%3A%3A1/id%2F1/a'],
    [{ path: '/v/${1}', query: 'id=${2}' }, [], '/', '/v/x/y?id=a%26b/%2F'],
  ] as const) {
    const found = rewritten(config, paths, target, ['', 'x/y', 'a&b/%2F'], 'x&y= z#')
    t.equal(found?.target, expected, `${JSON.stringify(config)} ${target}`)
  }
  t.equal(rewritten({ host: 'app-${header.x-a}.internal:8080' }, [], '/', [], 'b')?.host, 'app-b.internal:8080')
  t.equal(rewritten({ host: '${header.x-a}' }, [], '/', [], 'a b')?.status, 400, 'no host')
  t.equal(rewritten({ host: '${header.x-a}' }, [], '/', [], '')?.status, 400, 'none at all')
  for (const [path, header] of [
    ['/x/${header.x-a}/y', '..'],
    ['/x/${header.x-a}', '.'],
    ['/x/.${header.x-a}/y', '.'],
  ] as const)
    t.equal(rewritten({ path }, [], '/', [], header)?.status, 400, `${path} with ${header}`)
  t.equal(rewritten({ path: '/x/${query.a}' }, [], '/?a=%2e%2e')?.status, 400)
  t.equal(rewritten({ path: '/x/${query.a}' }, [], '/?a=%00')?.status, 400)
  t.equal(rewritten({ path: '/${path}${path}' }, [], `/${'a'.repeat(5_000)}`)?.status, 414)
})

const anyTarget = fc
  .array(fc.constantFrom('/', '//', '.', '..', '%2e', '%2F', '%5c', 'a', '%61', ';', '?', '&', '=', '%25', '+', ' '), {
    maxLength: 12,
  })
  .map((parts) => `/${parts.join('')}`)
const anyPath = fc.constantFrom(
  '/*',
  '/new/*',
  '${path}',
  '/x${path}',
  '/x/${1}/y',
  '/${header.x-a}/z',
  '/${query.a}',
  '/w',
)
const anyQuery = fc.constantFrom(undefined, '', '${query}', 'a=${1}&b=${header.x-a}', '${path}')
const anyBytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 })
  .map((codes) => String.fromCharCode(...codes))

t.test(
  'whatever is asked for, a rewritten target reads as one path in normal form, and is one that Castor would take',
  async () => {
    fc.assert(
      fc.property(anyPath, anyQuery, anyTarget, anyBytes, anyBytes, (path, query, target, capture, header) => {
        const config = query === undefined ? { path } : { path, query }
        const found = rewritten(config, ['/*'], target, ['', capture], header)
        if (found?.target === undefined) return
        const [made = ''] = found.target.split('?')
        ok(/^\/(?!\/)[\x21-\x7e]*$/.test(made), JSON.stringify(found.target))
        equal(normalizePath(made), made)
        ok(!/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(made))
        const parser = new RequestParser(LIMITS)
        parser.reset()
        const head = Buffer.from(`GET ${found.target} HTTP/1.1\r\nHost: h\r\n\r\n`, 'latin1')
        deepEqual([parser.parse(head, 0, head.length), parser.errorDetail], [PARSE_COMPLETE, ''])
      }),
      { seed: SEED, numRuns: 2000 },
    )
  },
)
