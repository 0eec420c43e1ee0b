import fc from 'fast-check'
import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { ConfigError } from '../../../src/config/problems.js'
import { readCaddy } from '../../../src/import/caddy-reader.js'
import { detectSource } from '../../../src/import/detect.js'
import { Untranslatable } from '../../../src/import/findings.js'
import { readHaproxy } from '../../../src/import/haproxy-reader.js'
import { readNginx } from '../../../src/import/nginx-reader.js'
import { parseTraefikRule } from '../../../src/import/traefik-rule.js'
import { SOURCES, translate } from '../../../src/import/translate.js'
import { fixture } from '../../integration/support/imported.js'
import { SEED } from '../../random.js'

t.comment(`seed ${SEED}`)

const FIXTURES = {
  haproxy: ['haproxy-shop.cfg', 'haproxy-edge.cfg'],
  nginx: ['nginx-shop.conf', 'nginx-site.conf'],
  traefik: ['traefik-shop.yml', 'traefik-edge.yml'],
  caddy: ['caddy-shop.caddyfile', 'caddy-site.caddyfile'],
} as const

t.test('every file is told by its content, and what is made of it passes the check', async (t) => {
  for (const source of SOURCES) {
    for (const name of FIXTURES[source]) {
      const text = fixture(name)
      t.equal(detectSource(text), source, name)
      const { yaml } = translate(text, source, name)
      t.doesNotThrow(() => parseConfig(yaml!, name, { readCertificates: false }), name)
    }
  }
})

t.test('words of a haproxy.cfg are those that HAProxy sees', async (t) => {
  const text = `frontend "a b" # comment\n  acl x path\\ y 'a"#' "b\\"c"\\#d #e\n\n  bind :80\n`
  const [section] = readHaproxy(text)
  t.match(section, { kind: 'frontend', name: 'a b', line: 1 })
  t.same(
    section!.lines.map(({ line, words }) => [line, ...words]),
    [
      [2, 'acl', 'x', 'path y', 'a"#', 'b"c#d'],
      [4, 'bind', ':80'],
    ],
  )
})

t.test('directives of an nginx.conf have their lines, quotes and blocks', async (t) => {
  const read = readNginx(`# c\na "x;\ny" 'z"' q\\;r;\nb { # c }\n  location ~ ^/\\d+$ { return 200 ""; }\n}\n`)
  t.match(read, [
    { name: 'a', args: ['x;\ny', 'z"', 'q;r'], line: 2 },
    {
      name: 'b',
      line: 4,
      block: [{ name: 'location', args: ['~', '^/\\d+$'], line: 5, block: [{ args: ['200', ''] }] }],
    },
  ])
})

t.test('lines of a Caddyfile have their words, quotes and blocks', async (t) => {
  const read = readCaddy('a.example,\nb.example {\n\tredir "/x y" {uri}#z # c\n\trespond `{"a": 1}`\n}\n')
  t.match(read, [
    {
      words: ['a.example,', 'b.example'],
      line: 1,
      block: [
        { words: ['redir', '/x y', '{uri}#z'], line: 3 },
        { words: ['respond', '{"a": 1}'], line: 4 },
      ],
    },
  ])
})

function refusalOf(rule: string): unknown {
  try {
    return parseTraefikRule(rule)
  } catch (fault) {
    return fault
  }
}

t.test('rules of Traefik bind as its documentation says', async (t) => {
  t.match(parseTraefikRule('Host(`a`) || Path(`/b`) && !(Method(`GET`))'), {
    is: 'any',
    of: [{ of: [{ match: { host: 'a' } }] }, { is: 'all', of: [{ is: 'any' }, { is: 'not', of: { is: 'match' } }] }],
  })
  for (const wrong of [
    '',
    'Host',
    'Host(',
    'Host(`a`',
    'Host(`a`))',
    'Host(`a`) &&',
    'Host(a)',
    '!'.repeat(5000),
    '('.repeat(5000),
    'Host(`a`) %',
  ]) {
    t.ok(refusalOf(wrong) instanceof Untranslatable, wrong.slice(0, 20))
  }
})

t.test('hostile text is refused with a line, or read, and never holds the program up', async (t) => {
  const deep = {
    haproxy: '',
    nginx: 'a {\n'.repeat(100_000),
    traefik: 'a:\n'.repeat(10) + '['.repeat(50_000),
    caddy: 'a {\n'.repeat(100_000),
  }
  for (const source of SOURCES) {
    const texts = [
      deep[source],
      'x'.repeat(1_000_000),
      '"'.repeat(100_001),
      "a '",
      '{',
      '}',
      ';',
      '\\',
      '\0',
      ' '.repeat(500_000),
    ]
    for (const text of texts) {
      const { yaml, findings } = translate(text, source, 'hostile')
      t.ok(
        yaml === undefined || findings.every(({ line }) => line >= 0),
        `${source} ${JSON.stringify(text.slice(0, 10))}`,
      )
    }
  }
  t.match(translate('a {\n'.repeat(100), 'nginx', 'x').findings, [{ line: 33, why: /more than 32 deep/ }])
})

t.test('whatever is cut from, put into or repeated in a file, the translation ends with findings', async (t) => {
  const all = SOURCES.flatMap((source) => FIXTURES[source].map((name) => ({ source, text: fixture(name) })))
  const piece = fc.constantFrom(
    '',
    '{',
    '}',
    '"',
    "'",
    '\\',
    '\n',
    '!',
    '(',
    '`',
    ' if ',
    ';',
    '*',
    ':',
    '[',
    '-',
    '/',
    '\u0000',
    '${A}',
    '999999',
  )
  const ends = (): void =>
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.nat(), fc.nat(60), piece, ({ source, text }, at, length, put) => {
        const from = at % text.length
        const { yaml } = translate(text.slice(0, from) + put + text.slice(from + length), source, 'cut')
        if (yaml === undefined) return
        try {
          parseConfig(yaml, 'cut', { readCertificates: false, env: {} })
        } catch (fault) {
          // What is wrong with a value is for the check to say.
          if (!(fault instanceof ConfigError)) throw fault
        }
      }),
      { seed: SEED, numRuns: 60 },
    )
  t.doesNotThrow(ends)
})
