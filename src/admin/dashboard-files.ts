import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface DashboardFile {
  readonly contentType: string
  readonly body: Uint8Array
}

/** Where the build puts the page, seen from the compiled form of this file. */
const BUILT = fileURLToPath(new URL('../../dashboard/', import.meta.url))

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * The page's files by URL path, read once: a request names a key of this map and never a file. Empty where the page
 * was not built; files of unknown kind are left out.
 */
export async function loadDashboard(folder = BUILT): Promise<ReadonlyMap<string, DashboardFile>> {
  const files = new Map<string, DashboardFile>()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const contentType = CONTENT_TYPES[extname(entry.name)]
    if (!entry.isFile() || contentType === undefined) continue
    const path = join(entry.parentPath, entry.name)
    const url = `/${relative(folder, path).split(sep).join('/')}`
    files.set(url === '/index.html' ? '/' : url, { contentType, body: await readFile(path) })
  }
  return files
}
