import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { ConfigError, formatProblem } from '../../../src/config/problems.js'
import { pluginFolder, writePlugin } from '../../integration/support/plugins.js'

const REST = `
listeners: [{ name: web, protocol: http, listen: 127.0.0.1:0, targetGroup: app }]
targetGroups: [{ name: app, protocol: http, targets: [] }, { name: raw, protocol: tcp, targets: [] }]
`
/** As a schema of another copy of zod would be. */
const SCHEMA = `{ '~standard': { version: 1, vendor: 'own', validate: (value) => {
  const issues = []
  if (typeof value.realm !== 'string') issues.push({ message: 'must be text', path: ['realm'] })
  if (value.inner?.n > 5) issues.push({ message: 'is too much', path: [{ key: 'inner' }, 'n'] })
  return issues.length > 0 ? { issues } : { value }
} } }`

function problemsOf(file: string): readonly string[] {
  try {
    loadConfig(file)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) return [(error as Error).message]
    return error.problems.map((problem) => formatProblem(problem).replace(`${file}:`, ''))
  }
}

t.test('what is wrong with plug-ins is said where it stands, all of it at once', async (t) => {
  const folder = pluginFolder(t)
  const write = (name: string, body: string, before = ''): string => writePlugin(folder, body, before, name)
  write('good.mjs', `{ name: 'good', options: ${SCHEMA}, onRequest() {} }`)
  write('plain.mjs', `{ name: 'plain', onLog() {} }`)
  write('number.mjs', '42')
  write('nothing.mjs', `{ name: 'nothing' }`)
  write('typo.mjs', `{ name: 'typo', onReqest() {} }`)
  write('throws.mjs', `{ name: 'throws', onLog() {} }`, `\nthrow new Error('on purpose')`)
  write('syntax.mjs', `{ name: 'syntax', onLog() { `, '')
  write('exits.mjs', `{ name: 'exits', onLog() {} }`, `setTimeout(() => { throw new Error('later') }, 0)`)
  writeFileSync(join(folder, 'bare.mjs'), 'export const a = 1\n')
  writeFileSync(join(folder, 'old.cjs'), `module.exports = { name: 'old', onLog() {} }\n`)
  const file = join(folder, 'castor.yaml')
  const text = `plugins:
  - ./good.mjs
  - { module: good.mjs, name: second, options: { realm: shop, inner: { n: 9 } } }
  - { module: ./plain.mjs, options: { a: 1 } }
  - ./missing.mjs
  - ./number.mjs
  - ./nothing.mjs
  - ./typo.mjs
  - ./throws.mjs
  - ./syntax.mjs
  - ./bare.mjs
  - ./old.cjs
  - { module: ./old.cjs, name: old2, sha256: ${'ab'.repeat(32)} }
  - ./old.cjs
  - { module: ./plain.mjs, name: late, deadline: 1s, deadlineMs: 5, targetGroups: [ap, raw] }
  - ./exits.mjs
${REST}`
  writeFileSync(file, text)
  const found = problemsOf(file)
  const wanted = [
    ['2:5: plugins.0', 'must be text'],
    ['3:75: plugins.1.options.inner.n', 'is too much'],
    ['4:', 'takes no options'],
    ['5:5: plugins.3', 'there is no such file'],
    ['6:5: plugins.4', 'is no plug-in: it is number'],
    ['7:5: plugins.5', 'it has none of onRequest'],
    ['8:5: plugins.6', '"onReqest"'],
    ['9:5: plugins.7', 'on purpose (line 2, column 7)'],
    ['10:5: plugins.8', 'cannot be imported'],
    ['11:5: plugins.9', 'has no default export'],
    ['13:', 'its digest is'],
    ['14:5: plugins.12', '"old" is already the name of plugins.10'],
    ['15:', 'says the same as deadline'],
    ['15:', 'no target group is named "ap"'],
    ['15:', 'speaks tcp'],
  ]
  for (const [place, message] of wanted) {
    t.ok(
      found.some((line) => line.startsWith(place!) && line.includes(message!)),
      `${place} ${message}`,
    )
  }
  t.equal(found.length, wanted.length, found.join('\n'))
})

t.test('rules name plug-ins that there are', async (t) => {
  const folder = pluginFolder(t)
  writePlugin(folder, `{ name: 'auth', onRequest() {} }`, '', 'auth.mjs')
  const file = join(folder, 'castor.yaml')
  const rules = (names: string): string =>
    REST.replace(
      'targetGroup: app',
      `targetGroup: app, rules: [{ match: { path: /a }, forward: app, plugins: ${names} }]`,
    )
  writeFileSync(file, `plugins: [./auth.mjs]${rules('[auth]')}`)
  t.same(problemsOf(file), [])
  writeFileSync(file, `plugins: [./auth.mjs]${rules('[auht, auth, auth]')}`)
  t.match(problemsOf(file).join('\n'), /no plug-in is named "auht".*auth[\s\S]*"auth" is in this list already/)
  writeFileSync(file, rules('[auth]'))
  t.match(problemsOf(file), [/no plug-in is named "auth"; there are none/])
})

t.test('a configuration may be a program, whose problems are said by their paths', async (t) => {
  const folder = pluginFolder(t)
  const file = join(folder, 'castor.config.mjs')
  const rest = `listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: process.env.NOT_THERE ?? 'app' }],
    targetGroups: [{ name: 'app', protocol: 'http', targets: [{ address: '127.0.0.1:' + (9000 + 1) }] }]`
  writeFileSync(file, `export default { node: 'from-a-program', ${rest} }`)
  const config = loadConfig(file)
  t.equal(config.node, 'from-a-program')
  t.equal(config.targetGroups[0]!.targets[0]!.port, 9001)
  writeFileSync(file, `export default async () => ({ node: 'made', ${rest} })`)
  t.equal(loadConfig(file).node, 'made')
  writeFileSync(file, `export default { nodes: 'x', ${rest} }`)
  t.match(problemsOf(file), [/^ nodes: unknown key "nodes"/])
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['export const a = 1', /has no default export/],
    ['export default { plugins: [{ name: "x", onRequest() {} }] }', /is a plug-in itself/],
    ['export default { listeners: new Map() }', /listeners: is an object of a class/],
    ['export default { workers: 1n }', /workers: is a bigint/],
    ['throw new Error("boom")', /boom/],
    ['while', /cannot be imported/],
  ]
  for (const [text, message] of wrong) {
    writeFileSync(file, text)
    t.match(problemsOf(file).join(), message, text)
  }
})

t.test('TypeScript is read where Node reads it, else it is said what to do', async (t) => {
  const folder = pluginFolder(t)
  writePlugin(
    folder,
    `{ name: 'typed', onRequest(request: { path: string }): void { void request.path } } as const`,
    '',
    'typed.ts',
  )
  const file = join(folder, 'castor.config.mts')
  writeFileSync(
    file,
    `const name: string = 'app'
export default {
  plugins: ['./typed.ts'],
  listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: name }],
  targetGroups: [{ name, protocol: 'http', targets: [] as object[] }],
}\n`,
  )
  const yaml = join(folder, 'castor.yaml')
  writeFileSync(yaml, `plugins: [./typed.ts]${REST}`)
  if ((process.features as { readonly typescript?: unknown }).typescript) {
    t.equal(loadConfig(file).plugins[0]!.name, 'typed')
    t.equal(loadConfig(yaml).plugins[0]!.name, 'typed')
  } else {
    t.match(problemsOf(file).join(), /is TypeScript, which Node v[\d.]+ does not read; run castor with Node 22\.18/)
    t.match(problemsOf(yaml), [/1:11: plugins\.0: .*is TypeScript/])
  }
})
