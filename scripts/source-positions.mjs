// Says where in the TypeScript something is that the engine places in what was compiled. Tests run without
// --enable-source-maps: every thread that they start would read and keep the map of its whole bundle.
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const PLACE = /(?:file:\/\/)?([^\s()'"]*\bdist[^\s()'"/]*\/[^\s()'":]+\.js):(\d+)(?::(\d+))?/g
const maps = new Map()

function mapOf(file) {
  if (!maps.has(file)) {
    try {
      maps.set(file, new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8'))))
    } catch {
      maps.set(file, undefined)
    }
  }
  return maps.get(file)
}

/** Where it was compiled from, through as many maps as there are: those of bundles lead to what they are made of. */
function sourceOf(file, line, column) {
  const entry = mapOf(file)?.findEntry(line - 1, column - 1)
  if (entry?.originalSource === undefined) return `${relative(root, file)}:${line}:${column}`
  const source = resolve(dirname(file), entry.originalSource.replace(/^file:\/\//, ''))
  return sourceOf(source, entry.originalLine + 1, entry.originalColumn + 1)
}

/** `text` with each place in a compiled file replaced by the place in its source. */
export function atSources(text) {
  return text.replaceAll(PLACE, (_, path, line, column) =>
    sourceOf(resolve(root, path), Number(line), Number(column ?? 1)),
  )
}
