import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The compiled tree this program runs from: `main.js` of the balancer lies in `src/` beside `bench/`. */
const compiled = dirname(dirname(fileURLToPath(import.meta.url)))

/** The checkout: the nearest folder upwards with a package.json. */
export const root = existsSync(join(compiled, 'package.json')) ? compiled : dirname(compiled)

export const castorMain = join(compiled, 'src', 'main.js')
/** The checkout that Castor is measured against, if one is named. */
export const beforeFolder: string | undefined = process.env.CASTOR_BEFORE || undefined
export const peersFolder = join(root, 'bench', 'peers')
export const resultsFolder = join(root, 'bench', 'results')
export const readmeFile = join(root, 'README.md')

export const castorVersion: string = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
).version

/** A program of this bench, by its path below `bench/` without extension. */
export function benchProgram(name: string): string {
  return join(compiled, 'bench', `${name}.js`)
}
