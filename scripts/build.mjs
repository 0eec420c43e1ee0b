// Compiles the addon, the TypeScript and the dashboard page: `dist/` is what runs. With --if-needed nothing happens when
// no source is newer than the last build.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleTap } from './bundle-tap.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => join(root, 'node_modules/.bin', name)
const stamp = join(root, 'dist/.built')
const SOURCES = ['src', 'workers', 'test', 'bench', 'scripts', 'tsconfig.json', 'package.json', 'node_modules/.bin']

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (done.error) throw done.error
  if (done.status !== 0) process.exit(done.status ?? 1)
}

/** When the file, or the newest thing below the folder, was changed last. Folders count: a deleted file changes them. */
function changedMs(path) {
  const { mtimeMs } = statSync(path)
  if (!statSync(path).isDirectory()) return mtimeMs
  let newest = mtimeMs
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.isSymbolicLink()) continue
    newest = Math.max(newest, changedMs(join(path, entry.name)))
  }
  return newest
}

function isUpToDate() {
  if (!existsSync(stamp) || !existsSync(join(root, 'dist/src/main.js'))) return false
  const builtMs = statSync(stamp).mtimeMs
  return SOURCES.every((source) => !existsSync(join(root, source)) || changedMs(join(root, source)) <= builtMs)
}

/** Takes away what was compiled from files that are gone, which would be run and shipped for ever. */
function prune(folder) {
  if (!existsSync(join(root, 'dist', folder))) return
  for (const entry of readdirSync(join(root, 'dist', folder), { recursive: true, withFileTypes: true })) {
    const compiled = join(entry.parentPath, entry.name)
    const source = compiled.replace(join(root, 'dist'), root).replace(/\.(js|js\.map|d\.ts)$/, '.ts')
    if (entry.isFile() && source.endsWith('.ts') && !existsSync(source)) rmSync(compiled)
  }
}

/** Packages of plain JavaScript that the command line loads: a hundred files between them. */
const BUNDLED_PACKAGES = ['commander', 'hono', 'ipaddr.js', 'yaml', 'zod']
const external = (id) => /^[^./]/.test(id) && !BUNDLED_PACKAGES.includes(id.split('/')[0])

/**
 * A kind of thread as one module. The engine folds a constant into the code that uses it only within a module, which is
 * worth some 8 % of a request; and a thread starts in half the time where it loads one file instead of a hundred. Other
 * packages stay outside, and the unbundled files stay for the tests.
 */
async function bundleThread(kind) {
  const { rolldown } = await import('rolldown')
  const folder = join(root, 'dist/workers', kind)
  const bundle = await rolldown({ input: join(folder, 'entry.js'), platform: 'node', external })
  await bundle.write({ file: join(folder, 'bundle.js'), format: 'esm', sourcemap: true })
}

/**
 * The command line, and with it the primary, as a few modules: a command begins in a third of the time. `main.js` uses the
 * single files where these are missing. They lie as deep as the files that they are made of, whose paths hold for them too.
 */
async function bundleProgram() {
  const { rolldown } = await import('rolldown')
  const bundle = await rolldown({ input: join(root, 'dist/src/cli/program.js'), platform: 'node', external })
  await bundle.write({ dir: PROGRAM, format: 'esm', sourcemap: true, entryFileNames: 'program.js' })
  const licences = BUNDLED_PACKAGES.map((name) => {
    const folder = folderOf(name)
    const file = readdirSync(folder).find((candidate) => /^licen[cs]e/i.test(candidate))
    return `${name}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  })
  writeFileSync(join(PROGRAM, 'LICENSES.txt'), licences.join('\n\n'))
}

/** As Node looks for packages: here, or in a folder above, where several checkouts share what they have installed. */
function folderOf(name) {
  for (let at = root; ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name)
    if (existsSync(folder) || at === dirname(at)) return folder
  }
}

const PROGRAM = join(root, 'dist/src/bundled')
const THREADS = ['proxy', 'probe', 'mesh', 'config']

// Installed from the registry without its development tools: dist/ came with the package.
if (!existsSync(bin('tsc'))) process.exit(0)
if (process.argv.includes('--if-needed') && isUpToDate()) process.exit(0)

const begun = new Date()
rmSync(stamp, { force: true })
for (const kind of THREADS) rmSync(join(root, 'dist/workers', kind, 'bundle.js'), { force: true })
rmSync(PROGRAM, { recursive: true, force: true })
run(process.execPath, ['scripts/build-native.mjs', '--if-needed'])
run(process.execPath, [bin('tsc'), '-p', 'tsconfig.json'])
if (existsSync(join(root, 'src/dashboard/index.html'))) {
  run(process.execPath, [bin('vite'), 'build', '--logLevel', 'warn', '--config', 'src/dashboard/vite.config.mjs'])
}
for (const folder of ['src', 'workers', 'test', 'bench']) prune(folder)
for (const kind of THREADS) await bundleThread(kind)
await bundleProgram()
await bundleTap()
writeFileSync(stamp, '')
// What was changed while this ran counts as newer.
utimesSync(stamp, begun, begun)
