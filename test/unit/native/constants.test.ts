import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as record from '../../../src/core/connection-record.js'
import * as addon from '../../../src/native/addon.js'
import * as tls from '../../../src/native/tls-addon.js'

if (addon.nativeAddon() === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

const file = fileURLToPath(new URL('../../../native/castor.node', import.meta.url))
const { constants } = createRequire(import.meta.url)(file) as addon.Exported
const here: Readonly<Record<string, unknown>> = { ...record, ...addon, ...tls }

t.test('C and TypeScript go by the same numbers', async (t) => {
  t.ok(Object.keys(constants).length >= 23)
  for (const [name, value] of Object.entries(constants)) t.equal(here[name], value, name)
})

t.test('no number that TypeScript has of the addon is missing in C', async (t) => {
  const ours = Object.entries({ ...addon, ...tls }).filter(([, value]) => typeof value === 'number')
  for (const [name] of ours) t.type(constants[name], 'number', name)
})
