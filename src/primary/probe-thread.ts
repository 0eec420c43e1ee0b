import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Config } from '../core/config.js'
import type { FromProbe, ProbeTask, ToProbe } from '../core/messages.js'
import type { CheckState, HealthReason } from '../core/target-state.js'
import type { Logger } from '../observe/log.js'

const RESTART_MS = 500
/** Starting a thread takes a tenth of this, on a machine with nothing else to do. */
const THREAD_START_MS = 3_000

/** What the probe thread is started with; called anew for each start. */
export type MakeProbeTask = () => Omit<ProbeTask, 'port'>

/** Keeps the probe thread running. Without it targets stay as they were last seen, and traffic goes on. */
export class ProbeKeeper {
  readonly #file: string
  readonly #makeTask: MakeProbeTask
  readonly #log: Logger
  readonly #onLine: (line: string) => void
  readonly #onVerdict: (slot: number, state: CheckState, reason: HealthReason) => void
  readonly #pool: Piscina
  #port: MessagePort | undefined
  #stopping = false
  #ended: Promise<void> = Promise.resolve()

  constructor(
    file: string,
    makeTask: MakeProbeTask,
    log: Logger,
    onLine: (line: string) => void,
    onVerdict: (slot: number, state: CheckState, reason: HealthReason) => void,
  ) {
    this.#onVerdict = onVerdict
    this.#file = file
    this.#makeTask = makeTask
    this.#log = log
    this.#onLine = onLine
    this.#pool = new Piscina({
      filename: this.#file,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      argv: [],
    })
    this.#pool.on('error', (err) => log.error({ err }, 'the probe pool reports an error'))
  }

  /** Resolves when every target has been checked once, or after `patienceMs`. */
  start(patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, patienceMs)
      this.#ended = this.#keepRunning(() => {
        clearTimeout(patience)
        resolve()
      })
    })
  }

  send(message: ToProbe): void {
    this.#port?.postMessage(message)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.send({ type: 'stop' })
    await this.#ended
    await this.#pool.destroy()
  }

  async #keepRunning(onReady: () => void): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#run(onReady)
        return
      } catch (err) {
        if (this.#stopping) return
        this.#log.error({ err }, 'the probe thread died; targets stay as they were until it is back')
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS))
      }
    }
  }

  async #run(onReady: () => void): Promise<void> {
    const { port1: ours, port2: theirs } = new MessageChannel()
    this.#port = ours
    ours.on('message', (message: FromProbe) => {
      switch (message.type) {
        case 'ready':
          onReady()
          return
        case 'log':
          this.#onLine(message.line)
          return
        case 'verdict':
          this.#onVerdict(message.slot, message.state, message.reason)
          return
      }
    })
    try {
      await this.#pool.run({ ...this.#makeTask(), port: theirs }, { transferList: [theirs] })
    } finally {
      this.#port = undefined
      ours.close()
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
