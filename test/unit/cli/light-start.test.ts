import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../meta/sources.js'

const IMPORT = /^(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm

/** All that is loaded with a bundle before anything runs: its own parts, and packages. */
function loadedWith(file: string, known = new Set<string>()): Set<string> {
  if (known.has(file)) return known
  known.add(file)
  for (const [, from, alone] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const name = from ?? alone!
    if (name.startsWith('.')) loadedWith(join(dirname(file), name), known)
    else if (!name.startsWith('node:')) known.add(name)
  }
  return known
}

t.test(
  'a command begins without the packages that only some need, which take longer to load than all else',
  async (t) => {
    const loaded = loadedWith(join(packageRoot(), 'dist/src/bundled/program.js'))
    t.ok(loaded.size > 1, [...loaded].join(' '))
    for (const name of ['ioredis', 'autocannon', 'piscina', 'pino-pretty'])
      t.notOk(loaded.has(name), `${name} is loaded when it is needed`)
  },
)
