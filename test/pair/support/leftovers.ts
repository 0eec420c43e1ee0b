import { execFileSync } from 'node:child_process'

/** Names that `Network` gives: the process that made them is in there. */
const NAME = /^cst(\d+)n\d+-\w+$/

/** Takes down what a process that was killed could not: its namespaces, with all that runs in them. Returns how many. */
export function removeLeftovers(): number {
  const names = ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
  let removed = 0
  for (const name of names) {
    const maker = Number(NAME.exec(name)?.[1])
    if (!Number.isSafeInteger(maker) || isAlive(maker)) continue
    // Programs hold on to a namespace that has no name any more.
    for (const id of ip('netns', 'pids', name).split('\n').filter(Boolean)) kill(Number(id))
    ip('netns', 'delete', name)
    removed++
  }
  return removed
}

/** What has gone by itself meanwhile is no fault. */
function ip(...args: readonly string[]): string {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' })
  } catch {
    return ''
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function kill(id: number): void {
  try {
    process.kill(id, 'SIGKILL')
  } catch {}
}
