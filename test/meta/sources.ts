import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Source {
  /** Relative to the package, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** The folder of the package's sources, found from the compiled test upwards: the first that holds both. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'src/core/errors.ts'))) return folder
    if (folder === dirname(folder)) throw new Error('no package with sources above this test')
  }
}

/** The TypeScript files under the given folders of the package, those of the web page left out. */
export function readSources(...folders: readonly string[]): Source[] {
  const root = packageRoot()
  const found: Source[] = []
  for (const folder of folders) {
    if (!existsSync(join(root, folder))) continue
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name)
      const path = relative(root, file).replaceAll('\\', '/')
      if (
        !entry.isFile() ||
        !/\.tsx?$/.test(entry.name) ||
        path.startsWith('src/dashboard/') ||
        path.includes('node_modules/')
      )
        continue
      found.push({ path, text: readFileSync(file, 'utf8') })
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}
