import { basename, relative } from 'node:path'

/** How this process was called, as somebody would type it again. */
export interface Called {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/

/** The command with each `path=value` as a further `--set`, in place of an earlier one for the same path. */
export function commandWith(sets: readonly string[], { argv, env, cwd }: Called): string {
  const replaced = new Set(sets.map(pathOf))
  const kept: string[] = []
  for (let i = 2; i < argv.length; i++) {
    const word = argv[i]!
    const joined = word.startsWith('--set=') ? word.slice('--set='.length) : undefined
    const set = word === '--set' ? argv[i + 1] : joined
    if (set !== undefined && replaced.has(pathOf(set))) {
      if (joined === undefined) i++
      continue
    }
    kept.push(word)
  }
  const npmStart = env.npm_lifecycle_event === 'start' && kept[0] === 'start' && kept[1] === '--demo'
  const program = npmStart ? ['npm', 'start', '--'] : programOf(argv[1] ?? '', env, cwd)
  const words = [...program, ...(npmStart ? kept.slice(2) : kept), ...sets.flatMap((set) => ['--set', set])]
  return words.map(quoted).join(' ')
}

function programOf(file: string, env: Called['env'], cwd: string): string[] {
  if (env.npm_command === 'exec') return ['npx', 'castor']
  if (basename(file) === 'castor') return ['castor']
  const near = relative(cwd, file)
  return ['node', near === '' || near.startsWith('..') ? file : near]
}

const pathOf = (set: string): string => set.slice(0, Math.max(0, set.indexOf('='))).trim()

/** For a POSIX shell. */
const quoted = (word: string): string => (SAFE.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
