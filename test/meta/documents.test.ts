import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { ROUTES } from '../../src/admin/routes.js'
import { parseConfig } from '../../src/config/load.js'
import { columnLayout, LISTENER_WORDS, RULE_WORDS, SERIES_WORDS, TARGET_WORDS } from '../../src/shm/layout.js'
import { packageRoot, readSources } from './sources.js'

const root = packageRoot()
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** The place that a heading is linked to by. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

function headings(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading!))
}

t.test('links between the documents lead somewhere', async (t) => {
  t.ok(pages.length > 10, `${pages.length} documents were found`)
  for (const page of pages) {
    for (const [, link] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link!)) continue
      const [path, place] = link!.split('#') as [string, string?]
      const target = path === '' ? page : join(dirname(page), path)
      t.ok(existsSync(join(root, target)), `${page}: ${link}`)
      if (place && target.endsWith('.md')) t.ok(headings(read(target)).includes(place), `${page}: ${link}`)
    }
  }
})

t.test('configurations in the documents are valid', async (t) => {
  let count = 0
  for (const page of pages) {
    for (const [, block] of read(page).matchAll(/^```yaml\n(.*?)^```/gms)) {
      if (!block!.includes('listeners:') || !block!.includes('targetGroups:')) continue
      count++
      t.doesNotThrow(
        () =>
          parseConfig(block!, page, {
            env: { REDIS_PASSWORD: 'p', CASTOR_SECRET: 's'.repeat(16) },
            // Their files are the reader's.
            readCertificates: false,
          }),
        page,
      )
    }
  }
  t.ok(count >= 2, `${count} were found`)
})

const EVERYDAY = ['trace', 'debug']

/** What the program writes into its log, above debug: calls like `log.warn({ … }, 'message')`. */
function logMessages(text: string): string[] {
  const file = ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const level = node.expression.name.text
      const isLog = /(^|[.#])log$/.test(node.expression.expression.getText(file)) && !EVERYDAY.includes(level)
      const message = node.arguments.find((argument) => ts.isStringLiteralLike(argument))
      if (isLog && message && ts.isStringLiteralLike(message)) found.push(message.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

t.test('every log line above debug is explained in docs/OPERATIONS.md', async (t) => {
  const messages = readSources('src', 'workers').flatMap(({ text }) => logMessages(text))
  t.ok(messages.length > 10, `${messages.length} were found`)
  const page = read('docs/OPERATIONS.md')
  for (const message of messages) t.ok(page.includes(`\`${message.split(';')[0]}`), message)
})

t.test('a log line is noticed, and what only looks like one is not', async (t) => {
  const cases: [string, string[]][] = [
    ["log.warn('a')", ['a']],
    ["this.#log.error({ err }, 'a')", ['a']],
    ["given.log.info({ b: 'c' }, 'a')", ['a']],
    ["log.debug('a')", []],
    ["dialog.warn('a')", []],
    ["console.log('a')", []],
  ]
  for (const [text, expected] of cases) t.same(logMessages(text), expected, text)
})

t.test('metrics that docs/OPERATIONS.md names exist', async (t) => {
  const sources = readSources('src/admin').map(({ text }) => text)
  const names = new Set([...read('docs/OPERATIONS.md').matchAll(/\b(?:castor|process)_[a-z_]+/g)].map(([name]) => name))
  t.ok(names.size > 5, `${names.size} are named`)
  for (const name of names)
    t.ok(
      sources.some((text) => text.includes(`'${name}'`)),
      name,
    )
})

t.test('decision records are numbered without gaps and have the parts of the template', async (t) => {
  const records = readdirSync(join(root, 'docs/adr')).sort()
  const parts = (page: string): string[] => [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!)
  const template = parts(read('docs/adr/0000-template.md'))
  for (const [number, name] of records.entries()) {
    const page = read(`docs/adr/${name}`)
    const digits = String(number).padStart(4, '0')
    t.ok(name.startsWith(`${digits}-`), name)
    t.match(page, new RegExp(`^# ${digits}: `), name)
    t.same(parts(page), template, name)
  }
})

t.test('every route of the admin API is named in docs/OPERATIONS.md and has an example in docs/API.md', async (t) => {
  const page = read('docs/OPERATIONS.md')
  const examples = new Map(
    read('docs/API.md')
      .split(/^### /m)
      .map((part) => [part.split('\n', 1)[0]!, part]),
  )
  t.ok(ROUTES.length > 15)
  for (const { method, path } of ROUTES) {
    const written = `${method} ${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())}`
    t.ok(page.includes(`${written}\``), written)
    t.match(examples.get(`\`${written}\``), /^curl /m, written)
  }
  t.equal(examples.size, ROUTES.length + 1, 'no example is of what is not there')
})

t.test('every folder of the house and every kind of thread is named where the house is drawn', async (t) => {
  const names = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  const folders = names('src')
  const threads = names('workers')
  t.ok(folders.length > 10 && threads.length > 3)
  const [drawn, listed] = [read('docs/ARCHITECTURE.md'), read('CONTRIBUTING.md')]
  for (const name of folders) {
    t.match(drawn, `src/${name}/`)
    // The page is no part of the program.
    if (name !== 'dashboard') t.match(listed, `src/${name}/`)
  }
  for (const name of threads) t.match(drawn, `(\`workers/${name}/\`)`)
})

t.test('the sizes that docs/SHARED-MEMORY.md draws are those of the layout', async (t) => {
  const page = read('docs/SHARED-MEMORY.md')
  const bytes = (words: number): string => (words * Float64Array.BYTES_PER_ELEMENT).toLocaleString('en-US')
  for (const [what, words] of [
    ['listeners', LISTENER_WORDS],
    ['targets', TARGET_WORDS],
    ['series', SERIES_WORDS],
    ['rules', RULE_WORDS],
  ] as const) {
    t.match(page, `│ ${bytes(words)} B × ${what} `)
  }
  const capacity = { workers: 2, listeners: 1, groups: 1, series: 1, rules: 2, targets: 3 + 256, sessions: 0 }
  const { stride } = columnLayout(capacity)
  t.match(page, `the stride is ${bytes(stride)} bytes\nand the buffer ${bytes(stride * 3)}.`)
})
