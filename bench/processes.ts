import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pinned } from './machine.js'

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  /** The core to run on; ignored where there is only one. Any without it. */
  readonly core?: number
  readonly env?: Readonly<Record<string, string>>
  /** Where standard output goes; kept in memory without it. */
  readonly stdoutFile?: string
  /** Opens a channel for messages, for the bench's own programs. */
  readonly channel?: boolean
}

/** A process of the bench, leader of a process group of its own. */
export interface Started {
  readonly pid: number
  readonly child: ChildProcess
  /** Resolves with everything it printed once it has ended. */
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>
  /** What it had to say against its own end, in one line. */
  complaint(): string
  /** Asks it to end, then makes it. Idempotent. */
  stop(): Promise<void>
}

const OUTPUT_KEPT = 64 * 1024
const STOP_WITHIN_MS = 3000

const running = new Set<Started>()
const folders = new Set<string>()

/** True when a command of this name is on the path. */
export function isInstalled(command: string): boolean {
  return spawnSync('which', [command], { stdio: 'ignore' }).status === 0
}

/** First line of what a command prints about itself, on either output. */
export function firstLine(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 5000 })
  return `${done.stdout ?? ''}${done.stderr ?? ''}`.trim().split('\n')[0] ?? ''
}

/** So that nothing outlives a bench that was killed outright; needs util-linux. */
const dieWithParent = isInstalled('setpriv') ? ['setpriv', '--pdeathsig', 'TERM', '--'] : []
const canPin = pinned && isInstalled('taskset')

export function start(what: Command): Started {
  const pin = canPin && what.core !== undefined ? ['taskset', '-c', String(what.core)] : []
  const [command, ...args] = [...dieWithParent, ...pin, what.command, ...what.args]
  const output = what.stdoutFile === undefined ? 'pipe' : openSync(what.stdoutFile, 'a')
  const child = spawn(command!, args, {
    detached: true,
    env: { ...process.env, ...what.env },
    stdio: ['ignore', output, 'pipe', ...(what.channel === true ? (['ipc'] as const) : [])],
  })
  if (output !== 'pipe') closeSync(output)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-OUTPUT_KEPT)))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-OUTPUT_KEPT)))
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('error', (error) => {
      stderr += error.message
      running.delete(started)
      resolve({ code: null, stdout, stderr })
    })
    child.once('close', (code) => {
      running.delete(started)
      resolve({ code, stdout, stderr })
    })
  })
  const started: Started = {
    pid: child.pid ?? 0,
    child,
    ended,
    complaint: () => complaintIn(stderr.trim() || stdout.trim()),
    stop: () => stopGroup(started),
  }
  running.add(started)
  return started
}

/** The line that names the error, else the last one. */
function complaintIn(output: string): string {
  const lines = output.split('\n')
  const named = lines.find((line) => /\b(\w*Error|error|ALERT|emerg|fatal)\b/.test(line))
  return (named ?? lines.at(-1) ?? '').slice(0, 400)
}

async function stopGroup(started: Started): Promise<void> {
  if (!running.has(started)) return
  signal(started.pid, 'SIGTERM')
  const patience = new AbortController()
  const late = sleep(STOP_WITHIN_MS, 'late' as const, { signal: patience.signal }).catch(() => undefined)
  if ((await Promise.race([started.ended, late])) === 'late') signal(started.pid, 'SIGKILL')
  patience.abort()
  await started.ended
}

function signal(group: number, name: NodeJS.Signals): void {
  if (group === 0) return
  try {
    process.kill(-group, name)
  } catch {
    // Already gone.
  }
}

/** A folder that is removed when the bench ends, however it ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-bench-'))
  folders.add(folder)
  return folder
}

export async function stopEverything(): Promise<void> {
  await Promise.all([...running].map((started) => started.stop()))
}

process.on('exit', () => {
  for (const started of running) signal(started.pid, 'SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => {
    // The exit handler above ends what is still running.
    process.exit(name === 'SIGINT' ? 130 : 143)
  })
}
