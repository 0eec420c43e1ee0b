import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { OptionsSchema, PluginDefinition, StandardIssue } from '../core/plugin.js'
import { isPluginName } from './plugin-names.js'
import type { Path } from './problems.js'

/** Modules are imported, set up and asked for their options' check within this. */
export const LOAD_TIMEOUT_MS = 10_000

const FUNCTIONS = ['setup', 'close', 'onRequest', 'onRoute', 'onRequestHead', 'onResponseHead', 'onLog'] as const
const KNOWN: readonly string[] = ['name', 'options', 'deadlineMs', 'failurePolicy', ...FUNCTIONS]
const HOOKS = FUNCTIONS.filter((name) => name.startsWith('on'))

/** Says for people why a module cannot be used. */
export class ModuleError extends Error {}

export interface ImportedPlugin {
  readonly definition: PluginDefinition
  /** Of the file, as it was imported. */
  readonly sha256: string
}

/** Whether this is a program rather than text, as a configuration may be, too. */
export function isModuleFile(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path)
}

/** Imports the plug-in that a module exports; a file that has changed is another module. Throws `ModuleError`. */
export async function importPlugin(path: string): Promise<ImportedPlugin> {
  const { exported, sha256 } = await importDefault(path)
  if (exported === undefined) {
    throw new ModuleError(`${path} has no default export; write export default definePlugin({ … })`)
  }
  const why = whyNoPlugin(exported)
  if (why !== undefined) throw new ModuleError(`the default export of ${path} is no plug-in: ${why}`)
  return { definition: exported as PluginDefinition, sha256 }
}

/** Imports the default export of a module. Throws `ModuleError`. */
export async function importDefault(path: string): Promise<{ readonly exported: unknown; readonly sha256: string }> {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new ModuleError(`${path} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : (code ?? message)}`)
  }
  if (/\.[cm]?ts$/.test(path) && !readsTypes()) {
    throw new ModuleError(
      `${path} is TypeScript, which Node ${process.version} does not read; run castor with Node 22.18 or later, or compile it to JavaScript and name that`,
    )
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const url = pathToFileURL(path)
  url.searchParams.set('castor', sha256.slice(0, 16))
  // Modules of the older kind are remembered by path alone.
  delete createRequire(import.meta.url).cache[path]
  try {
    const imported = await within(
      import(url.href) as Promise<{ readonly default?: unknown }>,
      `${path} was not imported`,
    )
    return { exported: unwrapped(imported.default), sha256 }
  } catch (fault) {
    if (fault instanceof ModuleError) throw fault
    throw new ModuleError(`${path} cannot be imported: ${sayFault(fault, path)}`, { cause: fault })
  }
}

/** Resolves as `work` does, or rejects with a `ModuleError` that says what did not come about. */
export function within<T>(work: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new ModuleError(`${what} within ${LOAD_TIMEOUT_MS / 1000} s`)),
      LOAD_TIMEOUT_MS,
    )
    work.then(resolve, reject).finally(() => clearTimeout(late))
  })
}

function readsTypes(): boolean {
  return Boolean((process.features as { readonly typescript?: unknown }).typescript)
}

/** What was compiled to the older kind of module has its default export one level down. */
function unwrapped(exported: unknown): unknown {
  const inner = exported as { readonly __esModule?: boolean; readonly default?: unknown } | undefined | null
  return inner?.__esModule === true ? inner.default : exported
}

function whyNoPlugin(exported: unknown): string | undefined {
  if (typeof exported !== 'object' || exported === null) return `it is ${exported === null ? 'null' : typeof exported}`
  const plugin = exported as Readonly<Record<string, unknown>>
  if (!isPluginName(plugin.name)) return 'its name must be 1 to 64 of A–Z a–z 0–9 _ . -'
  const unknown = Object.keys(plugin).find((key) => !KNOWN.includes(key))
  if (unknown !== undefined) return `it has ${JSON.stringify(unknown)}; known are ${KNOWN.join(', ')}`
  const bad = FUNCTIONS.find((key) => plugin[key] !== undefined && typeof plugin[key] !== 'function')
  if (bad !== undefined) return `${bad} is no function`
  if (!HOOKS.some((key) => plugin[key] !== undefined)) return `it has none of ${HOOKS.join(', ')}`
  const { options, deadlineMs, failurePolicy } = plugin
  if (options !== undefined && !isSchema(options)) return 'its options are no schema; write z.object({ … })'
  const isDeadline = typeof deadlineMs === 'number' && deadlineMs >= 1 && deadlineMs <= 600_000
  if (deadlineMs !== undefined && !isDeadline) return 'its deadlineMs must be a number from 1 to 600000'
  if (failurePolicy !== undefined && failurePolicy !== 'closed' && failurePolicy !== 'open') {
    return 'its failurePolicy must be closed or open'
  }
  return undefined
}

/** The schema may be of another copy of zod, or of another library. */
function isSchema(value: unknown): value is OptionsSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const { '~standard': standard } = value as Partial<OptionsSchema>
  return typeof standard?.validate === 'function'
}

export interface OptionsIssue {
  readonly path: Path
  readonly message: string
}

/** What the plug-in's schema makes of the options, or everything that it has against them. Throws what the schema throws. */
export async function checkOptions(
  { name, options: schema }: Pick<PluginDefinition, 'name' | 'options'>,
  options: unknown,
): Promise<{ readonly value: unknown } | { readonly issues: readonly OptionsIssue[] }> {
  if (schema === undefined) {
    return options === undefined
      ? { value: undefined }
      : { issues: [{ path: [], message: `the plug-in ${name} takes no options; leave them out` }] }
  }
  // Schemas of objects whose keys all have defaults take the empty one.
  const given = options === undefined ? {} : options
  const result = await schema['~standard'].validate(given)
  if (result.issues === undefined) return { value: result.value }
  return { issues: result.issues.map((issue) => ({ path: pathOf(issue), message: issue.message })) }
}

function pathOf({ path = [] }: StandardIssue): Path {
  return path.map((step) => {
    const key = typeof step === 'object' ? step.key : step
    return typeof key === 'symbol' ? String(key) : key
  })
}

/** The message, and where in the module it was, where that can be told. */
function sayFault(fault: unknown, path: string): string {
  if (!(fault instanceof Error)) return `it threw ${String(fault)}`
  const lines = (fault.stack ?? '').split('\n').filter((line) => line.includes(path))
  const [, line, column] = /[^\d](\d+)(?::(\d+))?\)?\s*$/.exec(lines[0]?.replace(/\?castor=[0-9a-f]+/, '') ?? '') ?? []
  const where = line === undefined ? '' : ` (line ${line}${column === undefined ? '' : `, column ${column}`})`
  const message = fault.message.split('\n')[0]!.replace(/\?castor=[0-9a-f]+/g, '')
  const { code } = fault as NodeJS.ErrnoException
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' && message.includes("'castor-lb'")
  const hint = isMissing
    ? `; install castor-lb where the module can find it, or export the same object without definePlugin`
    : ''
  return `${message}${where}${hint}`
}
