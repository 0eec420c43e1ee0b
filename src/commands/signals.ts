import { endOnSecondSignal, endProcess } from '../native/end-process.js'
import type { RunningCastor } from '../primary/running.js'
import { EXIT, type ExitCode } from './exit-code.js'

/** After the second signal: so long for giving everything back, then the process ends as it is. */
const SECOND_MS = 1_500
/** The same where the primary thread does not even hear of the signal. */
const DEAF_MS = 3_000

export interface Signals {
  /** Resolves when the balancer has ended. */
  drive(castor: RunningCastor): Promise<ExitCode>
}

/** From before the start, so that a Ctrl-C in the middle of it is obeyed as soon as there is something to stop. */
export function watchSignals(say: (line: string) => void): Signals {
  let asked = 0
  let running: RunningCastor | undefined
  let fail: (cause: unknown) => void = () => {}

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
  process.on('SIGTERM', onStop)
  process.on('SIGINT', onStop)
  process.on('SIGHUP', () => {
    say('SIGHUP: reload is not supported yet in this version; restart to change the configuration')
  })
  endOnSecondSignal(DEAF_MS)

  return {
    async drive(castor) {
      running = castor
      const failed = new Promise<never>((_, reject) => {
        fail = reject
      })
      if (asked > 0) obey()
      await Promise.race([castor.finished, failed])
      // Asked twice, connections were cut: it stopped, but not cleanly.
      return asked <= 1 ? EXIT.ok : EXIT.failed
    },
  }
}
