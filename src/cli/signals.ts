import { readFileSync } from 'node:fs'
import inspector from 'node:inspector'
import type { RunningCastor } from '../control/running.js'
import { endOnSecondSignal, endProcess } from '../native/end-process.js'
import { EXIT, type ExitCode } from './exit-code.js'

/** After the second signal: so long for giving everything back, then the process ends as it is. */
const SECOND_MS = 1_500
/** The same where the primary thread does not even hear of the signal. */
const DEAF_MS = 3_000

/** Not `--inspect-port`, which says where it would be. */
const OPENS_INSPECTOR = /(^|\s)--inspect(-brk|-wait)?(=|\s|$)/

const PARENT_POLL_MS = 250

/** Each stops in order, and the second at once. */
const STOPS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const
/** Log rotation. Of the first Node itself would open its inspector, where anybody on the host can run code. */
const REOPENS = ['SIGUSR1', 'SIGUSR2'] as const
/** Would end the process, and mean nothing to it. */
const IGNORED = ['SIGALRM', 'SIGVTALRM', 'SIGIO'] as const

export interface Signals {
  /** Resolves when the balancer has ended. */
  drive(castor: RunningCastor): Promise<ExitCode>
}

/** From before the start, so that a Ctrl-C in the middle of it is obeyed as soon as there is something to stop. */
export function watchSignals(say: (line: string) => void): Signals {
  let asked = 0
  let running: RunningCastor | undefined
  let fail: (cause: unknown) => void = () => {}

  /** The file may have been changed since it was read for the start. */
  let isReloadAsked = false
  // What comes of it is in the log.
  const reload = (): void => void running?.reloading.reload('signal').catch(fail)
  const obey = (): void => {
    if (asked === 1) running?.stop().catch(fail)
    else running?.stopNow().catch(fail)
  }
  const onStop = (): void => {
    asked++
    // Whoever asks for the third time means it.
    if (asked > 2) endProcess(EXIT.failed)
    say(asked === 1 ? 'stopping: finishing what is in flight; once more to stop at once' : 'stopping at once')
    if (asked === 2) setTimeout(() => endProcess(EXIT.failed), SECOND_MS)
    obey()
  }
  for (const signal of STOPS) process.on(signal, onStop)
  for (const signal of REOPENS) process.on(signal, () => void running?.reopenLogs())
  for (const signal of IGNORED) process.on(signal, () => {})
  closeInspector(say)
  watchNpm(onStop)
  process.on('SIGHUP', () => {
    if (running === undefined) {
      isReloadAsked = true
      say('SIGHUP: still starting; the file is read again after that')
    } else reload()
  })
  endOnSecondSignal(DEAF_MS)

  return {
    async drive(castor) {
      running = castor
      const failed = new Promise<never>((_, reject) => {
        fail = reject
      })
      if (asked > 0) obey()
      else if (isReloadAsked) reload()
      await Promise.race([castor.finished, failed])
      // Asked twice, connections were cut: it stopped, but not cleanly.
      return asked <= 1 ? EXIT.ok : EXIT.failed
    },
  }
}

/** A SIGUSR1 that came before it was watched for has opened the inspector: only a flag of Node's at the start may. */
function closeInspector(say: (line: string) => void): void {
  const url = inspector.url()
  if (url === undefined) return
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? '']
  if (flags.some((flag) => OPENS_INSPECTOR.test(flag))) say(`the inspector is open on ${url}; the watchdog is off`)
  else inspector.close()
}

/** Whoever stops a thread with a debugger does not want it replaced. */
export const isInspected = (): boolean => inspector.url() !== undefined

/**
 * npm runs a command by way of a shell. It passes some signals on to the shell and ends by others, and the shell passes
 * none on: the end of either is the signal.
 */
function watchNpm(onGone: () => void): void {
  if (process.env.npm_command === undefined) return
  const shell = process.ppid
  const npm = parentOf(shell)
  const isNpm = npm !== undefined && nameOf(npm).startsWith('npm')
  const watching = setInterval(() => {
    if (process.ppid === shell && (!isNpm || parentOf(shell) === npm)) return
    clearInterval(watching)
    onGone()
  }, PARENT_POLL_MS).unref()
}

/** Undefined where /proc does not tell. */
function parentOf(pid: number): number | undefined {
  const parent = /^PPid:\s+(\d+)$/m.exec(procFile(pid, 'status'))?.[1]
  return parent === undefined ? undefined : Number(parent)
}

const nameOf = (pid: number): string => procFile(pid, 'comm')

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
