import t from 'tap'
import { configJsonSchema } from '../../src/config/json-schema.js'
import { isSecretKey } from '../../src/config/mask-secrets.js'
import { RELOAD_RULES, reloadRule } from '../../src/config/reload-rules.js'

interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

function keysOf(node: Node, path: string): string[] {
  const inside = Object.entries(node.properties ?? {}).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`
    return [own, ...keysOf(value, own)]
  })
  const items = node.items === undefined ? [] : keysOf(node.items, `${path}.*`)
  return [...inside, ...items, ...(node.anyOf ?? []).flatMap((alternative) => keysOf(alternative, path))]
}

const keys = [...new Set(keysOf(configJsonSchema() as Node, ''))]
const LISTS = /^(listeners|targetGroups)\.\*\.[^.]+$/

/** Keys for which somebody must have decided by name, rather than by the map that they are in. */
function demandsOwnRule(key: string): boolean {
  if (LISTS.test(key)) return true
  if (key.includes('*')) return false
  const hasKeysBelow = keys.some((other) => other.startsWith(`${key}.`))
  return key.split('.').length === 2 || (!key.includes('.') && !hasKeysBelow)
}

t.test('whether a change applies by reload or needs a restart is decided for every key', async (t) => {
  t.ok(keys.length > 100, `${keys.length} keys`)
  const decided = keys.filter(demandsOwnRule)
  t.ok(decided.length > 55, `${decided.length} by name`)
  for (const key of decided) t.hasOwnProp(RELOAD_RULES, key)
  for (const key of keys) {
    if (keys.some((other) => other.startsWith(`${key}.`))) continue
    t.doesNotThrow(() => reloadRule(key.split('.')), key)
  }
})

t.test('no rule is about a key that the file does not have', async (t) => {
  for (const rule of Object.keys(RELOAD_RULES)) t.ok(keys.includes(rule), rule)
})

t.test('a key that is named like a secret is shown as one', async (t) => {
  for (const key of keys) {
    // Of a list the parts decide.
    if (keys.some((other) => other.startsWith(`${key}.`))) continue
    const name = key.split('.').at(-1)!
    if (/token|secret|password|passphrase|credential/i.test(name)) t.ok(isSecretKey(name), key)
  }
})
