import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../src/cli/package-files.js'
import { configJsonSchema, configJsonSchemaText } from '../../../src/config/json-schema.js'
import { loadConfig } from '../../../src/config/load.js'
import { MACHINE } from './support.js'

const root = packageRoot()

interface Node {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly additionalProperties?: boolean
}

interface Key {
  readonly path: string
  readonly node: Node
}

/** Every key of the file, lists as `*`. */
function keysOf(node: Node, path: string): Key[] {
  const inside = Object.entries(node.properties ?? {}).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`
    return [{ path: own, node: value }, ...keysOf(value, own)]
  })
  const items = node.items === undefined ? [] : keysOf(node.items, `${path}.*`)
  return [...inside, ...items, ...(node.anyOf ?? []).flatMap((alternative) => keysOf(alternative, path))]
}

const keys = keysOf(configJsonSchema() as Node, '')

t.test('config/schema.json is what the program prints', (t) => {
  const file = readFileSync(join(root, 'config', 'schema.json'), 'utf8')
  t.equal(file, configJsonSchemaText(), 'make it again with: castor schema > config/schema.json')
  t.end()
})

t.test('every key tells an editor what it does', (t) => {
  t.ok(keys.length > 50, `${keys.length} keys`)
  for (const { path, node } of keys) t.ok((node.description ?? '').length > 20, path)
  t.end()
})

t.test('every duration, size and rate tells what raising and lowering it costs', (t) => {
  const amounts = keys.filter(({ node }) => /Duration|Size|Bytes a second/.test(node.description ?? ''))
  t.ok(amounts.length >= 8)
  for (const { path, node } of amounts) {
    t.match(node.description, /Higher/, path)
    t.match(node.description, /lower/, path)
  }
  t.end()
})

t.test('unknown keys are errors in editors too', (t) => {
  const open = (node: Node): boolean => node.properties !== undefined && node.additionalProperties !== false
  t.same(
    keys.filter(({ node }) => open(node) || open(node.items ?? {})).map(({ path }) => path),
    [],
  )
  t.end()
})

t.test('docs/CONFIGURATION.md has every key', (t) => {
  const page = readFileSync(join(root, 'docs', 'CONFIGURATION.md'), 'utf8')
  for (const { path } of keys) {
    const name = path.replaceAll('.*', '[]')
    t.ok(page.includes(`\`${name}\``), name)
  }
  t.end()
})

t.test('the demo and every example are valid as they are', (t) => {
  const examples = readdirSync(join(root, 'config', 'examples')).map((name) => join(root, 'config', 'examples', name))
  t.ok(examples.length >= 4)
  for (const file of [join(root, 'config', 'demo.yaml'), ...examples]) {
    t.doesNotThrow(() => loadConfig(file, { env: {}, machine: MACHINE }), file)
  }
  t.end()
})

t.test('the demo has three targets that the program fills in, a listener on 8080 and admin on 9900', (t) => {
  const env = {
    CASTOR_DEMO_TARGET_1: '127.0.0.1:1',
    CASTOR_DEMO_TARGET_2: '127.0.0.1:2',
    CASTOR_DEMO_TARGET_3: '127.0.0.1:3',
  }
  const config = loadConfig(join(root, 'config', 'demo.yaml'), { env, machine: MACHINE })
  t.same(
    config.listeners.map((listener) => listener.listen),
    [[{ address: '0.0.0.0', port: 8080 }]],
  )
  t.same(config.admin.listen, [{ address: '127.0.0.1', port: 9900 }])
  t.same(
    config.targetGroups[0]?.targets.map((target) => target.port),
    [1, 2, 3],
  )
  t.end()
})
