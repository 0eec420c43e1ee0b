import t from 'tap'
import { placeOf, violations } from './floor-rules.js'
import { readSources } from './sources.js'

t.test('every source file keeps to its floor, its size and a telling name', async (t) => {
  const sources = readSources('src', 'workers')
  t.ok(sources.length > 20, `${sources.length} files were found`)
  t.ok(sources.some(({ path }) => path === 'src/core/errors.ts'))
  for (const violation of violations(sources)) t.fail(violation)
})

t.test('files have the floors that the architecture gives them', async (t) => {
  const cases: [string, number | undefined][] = [
    ['src/core/clock.ts', 0],
    ['src/native/addon.ts', 0],
    ['src/shm/columns.ts', 1],
    ['src/http/parse/head.ts', 2],
    ['src/balance/random-two.ts', 3],
    ['src/admin/server.ts', 4],
    ['src/control/dispatch.ts', 5],
    ['workers/proxy/adopt.ts', 5],
    ['src/cli/start.ts', 6],
    ['src/main.ts', 6],
    ['src/index.ts', 6],
    ['src/stray.ts', undefined],
    ['src/somewhere/new.ts', undefined],
  ]
  for (const [path, floor] of cases) t.equal(placeOf(path)?.floor, floor, path)
})

t.test('each rule catches what it is for', async (t) => {
  const cases: [string, string, RegExp | undefined][] = [
    ['src/net/a.ts', "import { b } from '../core/b.js'\nexport const a = b", undefined],
    ['src/net/a.ts', "import { b } from './b.js'\nexport const a = b", undefined],
    ['src/net/a.ts', "import b from 'node:net'\nexport const a = b", undefined],
    ['src/main.ts', "import { b } from './cli/b.js'\nexport const a = b", undefined],
    ['src/cli/a.ts', "import { b } from '../control/b.js'\nexport const a = b", undefined],
    ['src/net/a.ts', "import { b } from '../proxy/b.js'\nexport const a = b", /src\/proxy\/b\.js from a higher floor/],
    ['src/net/a.ts', "import type { B } from '../balance/b.js'\nexport type A = B", /higher floor/],
    ['src/net/a.ts', "export const a = () => import('../proxy/b.js')", /higher floor/],
    ['src/net/a.ts', "export { b } from '../proxy/b.js'\nexport const a = 1", /higher floor/],
    ['src/net/a.ts', "import { b } from '../http/b.js'\nexport const a = b", /sibling folder/],
    ['src/control/a.ts', "import { b } from '../../workers/proxy/b.js'\nexport const a = b", /sibling folder/],
    ['workers/proxy/a.ts', "import { b } from '../probe/b.js'\nexport const a = b", /sibling folder/],
    ['src/net/a.ts', "import { b } from '../../test/b.js'\nexport const a = b", /no floor/],
    ['src/odd/a.ts', 'export const a = 1', /no folder that has a floor/],
    ['src/net/index.ts', "export { a } from './a.js'\nexport * from './b.js'", /barrel/],
    ['src/net/all.ts', "import { a } from './a.js'\nexport { a }", /barrel/],
    ['src/net/socket-utils.ts', 'export const a = 1', /says nothing/],
    ['src/net/helpers/a.ts', 'export const a = 1', /says nothing/],
    ['src/net/common.ts', 'export const a = 1', /says nothing/],
    ['src/net/pool-manager.ts', 'export const a = 1', /says nothing/],
    ['src/net/uncommon-case.ts', 'export const a = 1', undefined],
    ['src/net/long.ts', 'export const a = 1\n'.repeat(400), undefined],
    ['src/net/long.ts', 'export const a = 1\n'.repeat(401), /401 lines/],
  ]
  for (const [path, text, expected] of cases) {
    const found = violations([{ path, text }])
    if (expected) t.match(found.join('\n'), expected, `${path}: ${text.slice(0, 60)}`)
    else t.same(found, [], `${path}: ${text.slice(0, 60)}`)
  }
})
