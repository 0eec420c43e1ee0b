// Compiles the TypeScript, the dashboard page, and copies nothing else: `dist/` is what runs.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (done.error) throw done.error
  if (done.status !== 0) process.exit(done.status ?? 1)
}

if (!existsSync(bin('tsc'))) {
  // Installed from the registry without its development tools: dist/ came with the package.
  process.exit(0)
}
run(process.execPath, ['scripts/build-native.mjs', '--if-needed'])
run(bin('tsc'), ['-p', 'tsconfig.json'])
if (existsSync(new URL('../src/dashboard/index.html', import.meta.url))) {
  run(bin('vite'), ['build', '--logLevel', 'warn', '--config', 'src/dashboard/vite.config.mjs'])
}
