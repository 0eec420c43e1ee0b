import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from './sources.js'

t.test('Biome has no complaint, neither about form nor about code', async (t) => {
  const root = packageRoot()
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
  t.ok(existsSync(biome), 'Biome is installed')
  const done = spawnSync(process.execPath, [biome, 'check', '--colors=off', '--reporter=summary', '.'], {
    cwd: root,
    encoding: 'utf8',
  })
  const output = done.stdout + done.stderr
  t.match(output, /Checked \d{3,} files/, 'it looked at the sources')
  if (done.status !== 0) t.fail('npm run format mends what can be mended', { output })
})
