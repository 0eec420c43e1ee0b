import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Test } from './castor.js'

/** A folder that the test's end removes. */
export function pluginFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-plugins-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes a module whose default export is `body`, an object literal, and returns its path. */
export function writePlugin(folder: string, body: string, before = '', name = 'plugin.mjs'): string {
  const path = join(folder, name)
  writeFileSync(path, `${before}\nexport default ${body}\n`)
  return path
}

/** A module that plug-ins of a test import to be told when to go on: files are what two threads share. */
export const GATES = `
import { existsSync, writeFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'
export const said = (file) => writeFileSync(file, '')
export const opened = (file, signal) => new Promise((resolve, reject) => {
  const look = () => { if (existsSync(file)) { clearInterval(timer); resolve() } }
  const timer = setInterval(look, 5)
  signal?.addEventListener('abort', () => { clearInterval(timer); reject(signal.reason) })
  look()
})
`

export function gatesIn(folder: string): string {
  const path = join(folder, 'gates.mjs')
  writeFileSync(path, GATES)
  return `import { said, opened } from ${JSON.stringify(pathToFileURL(path).href)}`
}
