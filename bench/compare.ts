import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.js'
import { temporaryFolder } from './processes.js'

/**
 * The bench once more, with another commit's build as the reference, in turn with this checkout's. Resolves with its exit
 * code; 2 where the commit could not be built.
 */
export async function compareWith(
  commit: string,
  args: readonly string[],
  tell: (text: string) => void,
): Promise<number> {
  let before: string
  try {
    before = buildOf(commit, tell)
  } catch (error) {
    tell(`--compare ${commit}: ${error instanceof Error ? error.message : String(error)}`)
    return 2
  }
  const child = spawn(process.execPath, [process.argv[1]!, ...args], {
    stdio: 'inherit',
    env: { ...process.env, CASTOR_BEFORE: before },
  })
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)))
}

/** A folder with that commit, built; it goes when the bench ends. Installs only where the lockfile is another. */
function buildOf(commit: string, tell: (text: string) => void): string {
  const hash = run(
    'git',
    ['rev-parse', '--verify', '--quiet', `${commit}^{commit}`],
    root,
    'git knows no such commit',
  ).trim()
  const folder = join(temporaryFolder(), 'before')
  mkdirSync(folder)
  tell(`building ${hash.slice(0, 9)} …`)
  const archive = join(folder, '..', 'before.tar')
  run('git', ['archive', '--output', archive, hash], root, 'git could not write it out')
  run('tar', ['-xf', archive, '-C', folder], root, 'tar could not unpack it')
  const lockfile = (of: string): string => readFileSync(join(of, 'package-lock.json'), 'utf8')
  if (lockfile(folder) === lockfile(root)) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  else run('npm', ['ci', '--no-audit', '--no-fund'], folder, 'its packages could not be installed')
  run('npm', ['run', 'build'], folder, 'it could not be built')
  return folder
}

function run(command: string, args: readonly string[], cwd: string, failure: string): string {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (done.status === 0) return done.stdout
  const said = `${done.stderr ?? ''}${done.stdout ?? ''}`.trim().split('\n').at(-1) ?? ''
  throw new Error([failure, done.error?.message ?? said].filter((text) => text !== '').join(': '))
}
