// Shows Castor, and whoever else is installed, what nobody should send: `npm run fuzz -- --seconds 60 [--seed N]
// [--subjects http,…]`. Builds first where something has changed.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const run = (file, args) =>
  spawnSync(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args], { stdio: 'inherit' }).status ??
  1

process.exitCode = run('./build.mjs', ['--if-needed']) || run('../dist/test/fuzz/main.js', process.argv.slice(2))
