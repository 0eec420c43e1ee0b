import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from './sources.js'

const root = packageRoot()
const text = readFileSync(join(root, 'docs/THREAT-MODEL.md'), 'utf8')

/** A test's file and the names that are quoted behind it, up to the next file or the end of the row or paragraph. */
function citations(): { file: string; names: string[] }[] {
  const blocks = text.split(/\n\n|\|\n/)
  return blocks.flatMap((block) =>
    [...block.matchAll(/`(test\/[\w./-]+\.test\.ts)`((?:(?!`test\/)[\s\S])*)/g)].map(([, file = '', rest = '']) => ({
      file,
      names: [...rest.replaceAll('\n', ' ').matchAll(/"((?:[^"]|"-")+)"/g)].map(([, name = '']) => name),
    })),
  )
}

t.test('every test that the threat model names is there', async (t) => {
  const cited = citations()
  t.ok(cited.filter(({ names }) => names.length > 0).length > 20, `${cited.length} citations were found`)
  for (const { file, names } of cited) {
    t.ok(existsSync(join(root, file)), file)
    const source = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : ''
    for (const name of names) t.ok(source.includes(name), `${file}: ${name}`)
  }
})

t.test('every family of the corpus that it names is there', async (t) => {
  const [clients = '', targets = ''] = text.split('## Attacks by targets')
  for (const [part, kind] of [
    [clients, 'requests'],
    [targets, 'responses'],
  ] as const) {
    const rows = part.split('\n').filter((line) => line.includes('| corpus '))
    t.ok(rows.length > 5)
    for (const row of rows) {
      const [, list = ''] = /\| corpus ((?:`[\w-]+`(?:, )?)+)/.exec(row) ?? []
      const families = [...list.matchAll(/`([\w-]+)`/g)].map(([, family]) => family!)
      t.ok(families.length > 0, row)
      for (const family of families) t.ok(existsSync(join(root, `test/fixtures/http1/${kind}/${family}.txt`)), family)
    }
  }
})
