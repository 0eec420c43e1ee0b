import t from 'tap'
import { stringify } from 'yaml'
import { toDocument } from '../../../src/config/document.js'
import { configJsonSchema } from '../../../src/config/json-schema.js'
import { MASK, maskSecrets } from '../../../src/config/mask-secrets.js'
import { isFields } from '../../../src/config/tree.js'
import { FULL, SECRETS_IN_FULL } from './full-file.js'
import { parse, SMALL } from './support.js'

const read = (text: string) => parse(text, { readCertificates: false })

t.test('a configuration in the form of the file, read again, is the same configuration', async (t) => {
  for (const text of [SMALL, ...FULL]) {
    const config = read(text)
    t.same(read(stringify(toDocument(config), { aliasDuplicateObjects: false })), config)
  }
})

interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

function schemaKeys(node: Node, path: string): string[] {
  const inside = Object.entries(node.properties ?? {}).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`
    return [own, ...schemaKeys(value, own)]
  })
  const items = node.items === undefined ? [] : schemaKeys(node.items, `${path}.*`)
  return [...inside, ...items, ...(node.anyOf ?? []).flatMap((alternative) => schemaKeys(alternative, path))]
}

function documentKeys(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => documentKeys(item, `${path}.*`))
  if (!isFields(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = path === '' ? key : `${path}.${key}`
    return [own, ...documentKeys(inner, own)]
  })
}

t.test('every key of the file is in it, so that no change of one goes unseen', async (t) => {
  const shown = new Set(FULL.flatMap((text) => documentKeys(toDocument(read(text)), '')))
  // Some say that there is no limit, and this version has none; rule sets are written out where they are used.
  const without =
    /^(ruleSets$|listeners\.\*\.rules\.\*\.use$|listeners\.\*\.limits|plugins\.\*\.deadlineMs$|protection\.(connectionsPer|newConnectionsPer|requestsPer)Source)/
  const missing = schemaKeys(configJsonSchema() as Node, '').filter((key) => !without.test(key) && !shown.has(key))
  t.same(missing, [])
})

t.test('no secret is left when secrets are masked, and an absent one stays absent', async (t) => {
  t.ok(SECRETS_IN_FULL.length >= 7, SECRETS_IN_FULL.join(' '))
  for (const text of FULL) {
    const masked = JSON.stringify(maskSecrets(toDocument(read(text))))
    for (const secret of SECRETS_IN_FULL) t.notMatch(masked, secret)
    t.match(masked, MASK)
  }
  t.same((maskSecrets(toDocument(read(SMALL))) as { admin: object }).admin, {
    listen: '127.0.0.1:9900',
    token: '',
    tokens: [],
    hosts: [],
  })
  t.same(maskSecrets({ webhook: 'https://me:pass@hooks.example/x' }), { webhook: `https://me:${MASK}@hooks.example/x` })
})
