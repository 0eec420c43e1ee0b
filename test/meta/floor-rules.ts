import { posix } from 'node:path'
import ts from 'typescript'
import type { Source } from './sources.js'

/** The floors of docs/ARCHITECTURE.md, lowest first. A file imports from lower floors and from its own folder only. */
export const FLOORS: readonly (readonly string[])[] = [
  ['src/core', 'src/native'],
  ['src/config', 'src/shm', 'src/observe'],
  ['src/net', 'src/http', 'src/import'],
  ['src/route', 'src/plugin', 'src/balance', 'src/health', 'src/sticky', 'src/limits', 'src/mesh', 'src/scale'],
  ['src/proxy', 'src/admin', 'src/doctor'],
  ['src/control', 'workers/*'],
  ['src'],
]

/** The top floor is one folder: the command line, the commands and the library's entry are parts of one thing. */
const TOP = ['src/main.ts', 'src/index.ts', 'src/cli/']

const MAX_LINES = 400
const VAGUE_NAMES = /(^|[-/.])(utils?|helpers?|common|managers?|misc)([-/.]|$)/i

interface Place {
  readonly floor: number
  readonly folder: string
}

/** Where a file stands, or undefined when its folder is on no floor. */
export function placeOf(path: string): Place | undefined {
  if (TOP.some((top) => path.startsWith(top))) return { floor: FLOORS.length - 1, folder: 'src' }
  const parts = path.split('/')
  if (parts.length < 3) return undefined
  const folder = `${parts[0]}/${parts[1]}`
  const floor = FLOORS.findIndex((folders) => folders.includes(folder) || folders.includes(`${parts[0]}/*`))
  return floor < 0 ? undefined : { floor, folder }
}

/** Everything that is against the rules, one line each. */
export function violations(sources: readonly Source[]): string[] {
  return sources.flatMap((source) =>
    [...ofImports(source), ...ofShape(source)].map((what) => `${source.path}: ${what}`),
  )
}

function ofImports({ path, text }: Source): string[] {
  const own = placeOf(path)
  if (!own) return ['is in no folder that has a floor']
  const found: string[] = []
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (!fileName.startsWith('.')) continue
    const imported = posix.join(posix.dirname(path), fileName)
    const other = placeOf(imported)
    if (!other) found.push(`imports ${imported}, which has no floor`)
    else if (other.folder === own.folder) continue
    else if (other.floor > own.floor) found.push(`imports ${imported} from a higher floor`)
    else if (other.floor === own.floor) found.push(`imports ${imported} from a sibling folder`)
  }
  return found
}

function ofShape({ path, text }: Source): string[] {
  const found: string[] = []
  const lines = text.trimEnd().split('\n').length
  if (lines > MAX_LINES) found.push(`has ${lines} lines, more than ${MAX_LINES}: it is two concepts`)
  if (VAGUE_NAMES.test(path)) found.push('has a name that says nothing')
  if (path !== 'src/index.ts' && isBarrel(path, text)) found.push('is a barrel')
  return found
}

/** True for a file that does nothing but pass on what others export. */
function isBarrel(path: string, text: string): boolean {
  const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.Latest)
  const rest = statements.filter((statement) => !ts.isImportDeclaration(statement))
  return rest.length > 0 && rest.every((statement) => ts.isExportDeclaration(statement))
}
