import fc from 'fast-check'
import t from 'tap'
import { NAMED_VARIABLES, VARIABLES } from '../../../src/core/template.js'
import { MAX_ADDED_BYTES } from '../../../src/http/head-layout.js'
import { HEADER_DROPPED } from '../../../src/http/header-names.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { HeaderEdits, nameTarget, TARGET_LATER } from '../../../src/route/header-edits.js'
import { ByteText, type TemplateFacts } from '../../../src/route/template.js'
import { SEED } from '../../random.js'
import { headersOf } from '../http/heads.js'

t.comment(`seed ${SEED}`)

const LIMITS = { maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 }
const NONE = { set: [], add: [], remove: [] }

function factsOf(head: string, more: Partial<TemplateFacts> = {}): TemplateFacts | undefined {
  const parser = new RequestParser(LIMITS)
  parser.reset()
  const start = 7
  const buffer = Buffer.concat([Buffer.alloc(start), Buffer.from(head, 'latin1')])
  if (parser.parse(buffer, start, buffer.length) !== PARSE_COMPLETE) return undefined
  return {
    parser,
    buffer,
    start,
    client: { family: 4, address: '192.0.2.1', port: 4711 },
    port: 8080,
    scheme: 'https',
    requestId: Buffer.from('id-1'),
    listener: 'web',
    rule: 'api',
    targetGroup: 'app',
    target: TARGET_LATER,
    tlsVersion: 'TLSv1.3',
    tlsServerName: 'shop.example',
    captures: ['/a/b', 'b'],
    ...more,
  }
}

const textOf = (text: ByteText): string => Buffer.from(text.bytes.subarray(0, text.length)).toString('latin1')

function written(set: Record<string, string>, facts: TemplateFacts): string {
  const edits = new HeaderEdits({ ...NONE, set: Object.entries(set).map(([name, value]) => ({ name, value })) })
  const out = new ByteText()
  t.equal(edits.write(out, facts), true)
  return textOf(out)
}

t.test('every variable has its value', async (t) => {
  const facts = factsOf(
    'POST /a/%62?q=1%20&q=2&e= HTTP/1.1\r\nHost: shop.example:8443\r\nX-A: one\r\nx-a: two\r\ncookie: sid=xyz\r\n\r\n',
  )!
  const values: Record<string, string> = {
    host: 'shop.example',
    port: '8443',
    path: '/a/%62',
    query: 'q=1%20&q=2&e=',
    method: 'POST',
    scheme: 'https',
    client_ip: '192.0.2.1',
    client_port: '4711',
    request_id: 'id-1',
    listener: 'web',
    rule: 'api',
    target_group: 'app',
    target: '\0',
    tls_version: 'TLSv1.3',
    tls_server_name: 'shop.example',
    'header.X-A': 'one',
    'cookie.sid': 'xyz',
    'query.q': '1%20',
    '0': '/a/b',
    '1': 'b',
  }
  t.same(
    VARIABLES.filter((name) => !(name in values)),
    [],
  )
  for (const [name, value] of Object.entries(values))
    t.equal(written({ x: `<\${${name}}>` }, facts), `x: <${value}>\r\n`, name)
  for (const name of ['header.b', 'cookie.b', 'query.b', 'query.e', '2'])
    t.equal(written({ x: `\${${name}}` }, facts), '', `${name} has none: no such field`)
  const plain = factsOf('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')!
  t.equal(written({ x: '${port}' }, plain), 'x: 443\r\n', 'without a port it is the scheme’s')
})

t.test('names are taken out in whatever case and punctuation, and only those', async (t) => {
  const facts = factsOf(
    'GET / HTTP/1.1\r\nHost: h\r\nX_TIER: 1\r\nx-tier: 2\r\nX.Tier: 3\r\nX-Tiers: 4\r\nXTier: 5\r\n\r\n',
  )!
  new HeaderEdits({ ...NONE, remove: ['x-tier', 'none'] }).drop(facts.parser, facts.buffer, facts.start)
  const kept = headersOf({ ...facts, outcome: PARSE_COMPLETE }).filter(([, , id]) => id !== HEADER_DROPPED)
  t.same(
    kept.map(([name]) => name),
    ['Host', 'X-Tiers', 'XTier'],
  )
})

const anyVariable = fc.constantFrom(...VARIABLES, ...NAMED_VARIABLES.map((kind) => `${kind}.a`), '0', '1', '7')
const anyValue = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', ' ', '-', ': '),
      anyVariable.map((name) => `\${${name}}`),
    ),
    { minLength: 1 },
  )
  .map((parts) => parts.join('').trim())
const anyText = fc.string({ unit: 'binary' })
const fieldBytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes))

t.test('whatever variables bring, an edit is whole lines, with one name each and no control character', async (t) => {
  let asked = 0
  fc.assert(
    fc.property(
      fc.array(anyValue, { maxLength: 6 }),
      fieldBytes,
      fieldBytes,
      fc.record({ tlsServerName: anyText, rule: anyText, captures: fc.array(anyText), id: anyText }),
      (values, header, query, { id, ...rest }) => {
        const facts = factsOf(`GET /p?a=${query} HTTP/1.1\r\nHost: h\r\na: ${header}\r\n\r\n`, rest)
        if (facts === undefined) return
        asked++
        const edits = new HeaderEdits({
          ...NONE,
          add: values.map((value, index) => ({ name: `x-${index}`, value })),
        })
        const out = new ByteText()
        if (!edits.write(out, facts)) throw new Error('too large')
        const named = new ByteText()
        nameTarget(named, out, id)
        const lines = textOf(named)
        if (!/^(x-\d: [\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]\r\n)*$/.test(lines) && lines !== '')
          throw new Error(JSON.stringify(lines))
      },
    ),
    { seed: SEED, numRuns: 1000 },
  )
  t.ok(asked > 50, `${asked} heads were read`)
})

t.test('what is added is bounded, however often a large value is repeated', async (t) => {
  const facts = factsOf(`GET / HTTP/1.1\r\nHost: h\r\na: ${'x'.repeat(16_000)}\r\n\r\n`)!
  for (const [times, expected] of [
    [2, true],
    [3, false],
    [300, false],
  ] as const) {
    const out = new ByteText()
    const edits = new HeaderEdits({ ...NONE, set: [{ name: 'b', value: '${header.a}'.repeat(times) }] })
    t.equal(edits.write(out, facts), expected, String(times))
    t.ok(out.bytes.length < MAX_ADDED_BYTES * 4, 'nor is memory taken for it')
  }
  const many = new HeaderEdits({ ...NONE, set: [{ name: 'b', value: '${target}'.repeat(400) }] })
  t.equal(many.write(new ByteText(), facts), false, 'targets count as they may become')
})

t.test(
  'lines that tell of nothing but the target are what they are when they are written for each request',
  async (t) => {
    const part = fc.constantFrom('gold', ' ', '${target}', 'a b', '\u00e9')
    const value = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(''))
    const facts = factsOf('GET / HTTP/1.1\r\nHost: h\r\n\r\n', { target: TARGET_LATER })!
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 5 }),
        fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 3 }),
        (values, ids) => {
          const edits = new HeaderEdits({
            ...NONE,
            add: values.map((each, index) => ({ name: `x-${index}`, value: each })),
          })
          const out = new ByteText()
          if (!edits.write(out, facts)) return false
          return [...ids, ...ids].every((id) => {
            const named = new ByteText()
            nameTarget(named, out, id)
            return Buffer.from(edits.ofTarget!.of(id)).toString('latin1') === textOf(named)
          })
        },
      ),
      { seed: SEED, numRuns: 500 },
    )
    t.equal(new HeaderEdits({ ...NONE, set: [{ name: 'a', value: '${host}' }] }).ofTarget, undefined)
    t.equal(
      new HeaderEdits({ ...NONE, set: [{ name: 'a', value: '${target}'.repeat(400) }] }).ofTarget,
      undefined,
      'too long',
    )
  },
)
