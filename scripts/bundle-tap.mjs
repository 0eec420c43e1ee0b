// Makes tap one module. It is 250 files, which cost a test file a third of a second of processor time to load.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What is compiled below `dist/` finds packages here before it looks in the project's own. */
const PACKAGES = join(root, 'dist/node_modules')
/** Beside tap's own plugins, because tap leaves out of stacks what lies there. */
const BUNDLE = join(PACKAGES, '@tapjs/bundle')
const NAMED = join(PACKAGES, 'tap')

/** Its package file in full, so that another version of it, or of how it is bundled, is bundled anew. */
function packageOf(name, main) {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/tap/package.json'), 'utf8'))
  return `${JSON.stringify({ name, version, type: 'module', main })}\n`
}

function isBundled(expected) {
  try {
    return readFileSync(join(NAMED, 'package.json'), 'utf8') === expected
  } catch {
    return false
  }
}

/** Does nothing where the same version is bundled already. */
export async function bundleTap() {
  const found = packageOf('tap', '../@tapjs/bundle/index.js')
  if (isBundled(found)) return
  const { rolldown } = await import('rolldown')
  const bundle = await rolldown({ input: join(root, 'node_modules/tap/dist/esm/index.js'), platform: 'node' })
  await bundle.write({ file: join(BUNDLE, 'index.js'), format: 'esm', codeSplitting: false })
  await bundle.close()
  writeFileSync(join(BUNDLE, 'package.json'), packageOf('@tapjs/bundle', 'index.js'))
  mkdirSync(NAMED, { recursive: true })
  writeFileSync(join(NAMED, 'package.json'), found)
}
