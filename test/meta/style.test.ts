import t from 'tap'
import ts from 'typescript'
import { readSources, type Source } from './sources.js'

// Put together, so that this file does not find itself.
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)

/** Options of a test that runs beside others, kept in a variable. */
function hasBuffered({ initializer }: ts.VariableDeclaration): boolean {
  const value = initializer !== undefined && ts.isAsExpression(initializer) ? initializer.expression : initializer
  if (value === undefined || !ts.isObjectLiteralExpression(value)) return false
  return value.properties.some(({ name }) => name !== undefined && ts.isIdentifier(name) && name.text === 'buffered')
}

/** What is against the style, with the line it is on. */
function offences({ path, text }: Source): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest)
  const found: string[] = []
  const report = (position: number, what: string): void => {
    found.push(`${path}:${file.getLineAndCharacterOfPosition(position).line + 1}: ${what}`)
  }
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) report(node.getStart(file), '`any`; use `unknown` and parse')
    if (ts.isEnumDeclaration(node)) report(node.getStart(file), 'an enum; use an `as const` object')
    if (ts.isVariableDeclaration(node) && hasBuffered(node)) {
      report(node.getStart(file), 'options that tests share; tap writes to them what each has printed')
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  const unfinished = UNFINISHED.exec(text)
  if (unfinished) report(unfinished.index, `${unfinished[0]}; finish it or open an issue`)
  return found
}

t.test('no file has an `any`, an enum, or a note of unfinished work', async (t) => {
  const sources = readSources('src', 'workers', 'bench', 'test')
  t.ok(sources.length > 50, `${sources.length} files were found`)
  for (const offence of sources.flatMap(offences)) t.fail(offence)
})

t.test('each of them is noticed, and nothing that only looks like one', async (t) => {
  const cases: [string, RegExp | undefined][] = [
    ['let a: any', /a\.ts:1: `any`/],
    ['const a = 1\nconst b = a as any', /a\.ts:2: `any`/],
    ['type A = Record<string, any>', /`any`/],
    ['enum A { B }', /an enum/],
    ['const enum A { B }', /an enum/],
    [`// ${'TO'}DO: later`, /a\.ts:1: /],
    [`/* ${'FIX'}ME */`, /a\.ts:1: /],
    ['const T = { buffered: true }', /a\.ts:1: options that tests share/],
    ['const T = { jobs: 2, buffered: true } as const', /options that tests share/],
    ["t.test('a', { buffered: true }, async () => {})", undefined],
    ["const a = 'any of them' // any enum", undefined],
    ['const any = 1', undefined],
    ["const a = 'TODOS'", undefined],
  ]
  for (const [text, expected] of cases) {
    const found = offences({ path: 'a.ts', text })
    if (expected) t.match(found.join('\n'), expected, text)
    else t.same(found, [], text)
  }
})
