import { spawnSync } from 'node:child_process'
import { peersFolder } from './paths.js'

/** Installs the proxies from npm into `bench/peers/`, at the versions its lock file names. Returns npm's exit code. */
export function installPeers(): number {
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: peersFolder, stdio: ['ignore', 2, 2] })
  return done.status ?? 1
}
