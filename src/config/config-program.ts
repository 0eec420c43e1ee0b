import { importDefault, ModuleError } from './plugin-module.js'
import { isFields } from './tree.js'

/** Places that are looked at; what refers to itself has no end. */
const MAX_DEPTH = 64

/** The configuration that a program exports, as JSON text. Throws `ModuleError`. */
export async function readProgram(file: string): Promise<string> {
  const { exported } = await importDefault(file)
  const value: unknown = typeof exported === 'function' ? await exported() : await exported
  if (value === undefined) {
    throw new ModuleError(`${file} has no default export; write export default defineConfig({ … })`)
  }
  checkPlain(value, [], file)
  return JSON.stringify(value, null, 2)
}

/** Every thread must be able to have it: maps, lists, text, numbers, true, false and null. */
function checkPlain(value: unknown, path: readonly string[], file: string): void {
  const at = path.length === 0 ? file : `${file}: ${path.join('.')}`
  if (path.length > MAX_DEPTH) throw new ModuleError(`${at}: is nested too deeply, or within itself`)
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkPlain(item, [...path, String(index)], file)
  } else if (isFields(value)) {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      throw new ModuleError(`${at}: is an object of a class; write maps, lists, text, numbers, true, false or null`)
    }
    for (const [key, item] of Object.entries(value)) {
      if (typeof item === 'function' && path[0] === 'plugins') {
        throw new ModuleError(`${at}: is a plug-in itself; write the path of a module that exports it`)
      }
      checkPlain(item, [...path, key], file)
    }
  } else if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') {
    throw new ModuleError(`${at}: is a ${typeof value}; write maps, lists, text, numbers, true, false or null`)
  } else if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new ModuleError(`${at}: is ${value}, which is no number that a file can hold`)
  }
}
