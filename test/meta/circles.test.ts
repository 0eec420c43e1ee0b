import { posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { readSources, type Source } from './sources.js'

/** Files that import each other, by whatever detour: each group once, its files in order. Types count as well. */
function circles(sources: readonly Source[]): string[][] {
  const imports = new Map(sources.map(({ path, text }) => [path, importsOf(path, text)]))
  const found: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const visit = (path: string): number => {
    const own = order.size
    order.set(path, own)
    open.push(path)
    let low = own
    for (const next of imports.get(path) ?? []) {
      if (!imports.has(next)) continue
      if (!order.has(next)) low = Math.min(low, visit(next))
      else if (open.includes(next)) low = Math.min(low, order.get(next)!)
    }
    lowest.set(path, low)
    if (low === own) {
      const group = open.splice(open.indexOf(path))
      if (group.length > 1) found.push(group.sort())
    }
    return low
  }
  for (const path of imports.keys()) if (!order.has(path)) visit(path)
  return found
}

function importsOf(path: string, text: string): string[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(path), fileName).replace(/\.js$/, '.ts'))
}

t.test('no source file imports itself, by whatever detour', async (t) => {
  const sources = readSources('src', 'workers')
  t.ok(sources.length > 20, `${sources.length} files were found`)
  for (const group of circles(sources)) t.fail(group.join(', '))
})

t.test('circles are found', async (t) => {
  const file = (path: string, ...from: string[]): Source => ({
    path,
    text: from.map((name) => `import type { X } from './${name}.js'\n`).join(''),
  })
  const chain = [file('src/a.ts', 'b'), file('src/b.ts', 'c'), file('src/c.ts')]
  t.same(circles(chain), [])
  t.same(circles([...chain.slice(0, 2), file('src/c.ts', 'a')]), [['src/a.ts', 'src/b.ts', 'src/c.ts']])
})
