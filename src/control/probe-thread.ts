import type { Config } from '../core/config.js'
import type { FromProbe, ProbeTask, ToProbe } from '../core/messages.js'
import type { CheckState, HealthReason } from '../core/target-state.js'
import type { Logger } from '../observe/log.js'
import { SupervisedService } from './supervised-service.js'
import type { Watchdog } from './watchdog.js'

/** Starting a thread takes a tenth of this, on a machine with nothing else to do. */
const THREAD_START_MS = 3_000

/** What the probe thread is started with; called anew for each start. */
export type MakeProbeTask = () => Omit<ProbeTask, 'port'>

/** Keeps the probe thread running. Without it targets stay as they were last seen, and traffic goes on. */
export class ProbeKeeper {
  readonly #onLine: (line: string) => void
  readonly #onVerdict: (slot: number, state: CheckState, reason: HealthReason) => void
  readonly #service: SupervisedService<ToProbe, FromProbe>

  constructor(
    file: string,
    makeTask: MakeProbeTask,
    watch: { readonly watchdog: Watchdog; readonly row: number },
    log: Logger,
    onLine: (line: string) => void,
    onVerdict: (slot: number, state: CheckState, reason: HealthReason) => void,
  ) {
    this.#onLine = onLine
    this.#onVerdict = onVerdict
    this.#service = new SupervisedService(file, log, {
      ...watch,
      name: 'probe',
      task: makeTask,
      onMessage: (message) => this.#onMessage(message),
      onDeath: (err) => {
        if (this.#service.stopping) return
        log.error({ err }, 'the probe thread died; targets stay as they were until it is back')
      },
    })
  }

  /** Resolves when every target has been checked once, or after `timeoutMs`. */
  start(timeoutMs: number): Promise<void> {
    return this.#service.start(timeoutMs)
  }

  send(message: ToProbe): void {
    this.#service.send(message)
  }

  stop(): Promise<void> {
    return this.#service.stop()
  }

  #onMessage(message: FromProbe): void {
    switch (message.type) {
      case 'ready':
        this.#service.ready()
        return
      case 'log':
        this.#onLine(message.line)
        return
      case 'verdict':
        this.#onVerdict(message.slot, message.state, message.reason)
        return
    }
  }
}

/**
 * How long readiness waits for first checks: as long as the most patient of them may take, and the thread to start. The
 * thread says itself when they are done; this is for one that does not come up.
 */
export function firstChecksMs(config: Config): number {
  const checked = config.targetGroups.filter(({ healthCheck }) => healthCheck.protocol !== 'off')
  if (checked.length === 0) return 0
  return checked.reduce((longest, { healthCheck }) => Math.max(longest, healthCheck.timeoutMs), 0) + THREAD_START_MS
}
