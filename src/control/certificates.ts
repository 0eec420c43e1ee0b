import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../config/certificate.js'
import {
  type GroupFiles,
  type ListenerFiles,
  readGroupFiles,
  readListenerFiles,
  serverTls,
} from '../config/tls-files.js'
import type { Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import type { CertificateFacts, TlsMaterial } from '../core/tls.js'
import type { Logger } from '../observe/log.js'
import { FileWatch, type FileWatchTimes } from './file-watch.js'

/** Time alone brings certificates to their end. */
const LOOK_AGAIN_MS = 24 * 60 * 60 * 1000

type Of = { readonly listener: string } | { readonly targetGroup: string }

/**
 * Every certificate, key and bundle of authorities of the configuration: read at the start, and again whenever a file
 * changes. What is not good then is refused and logged, and what was there before serves on.
 */
export class Certificates {
  readonly #config: Config
  readonly #log: Logger
  readonly #watch: FileWatch
  #listeners: (ListenerFiles | undefined)[] = []
  #groups: (GroupFiles | undefined)[] = []
  #material: TlsMaterial = { listeners: [], groups: [] }
  /** What was said and still holds. */
  #said: ReadonlySet<string>
  #timer: NodeJS.Timeout | undefined
  onChange: () => void = () => {}

  /** `said` has been said already, when the configuration was read. */
  constructor(config: Config, log: Logger, said: ReadonlySet<string> = new Set(), times?: FileWatchTimes) {
    this.#config = config
    this.#log = log
    this.#said = said
    this.#watch = new FileWatch(filesOf(config), log, () => this.reload(), times)
  }

  /** What the threads are given. */
  get current(): TlsMaterial {
    return this.#material
  }

  /** The certificates that a listener serves, by its index. */
  facts(listener: number): readonly CertificateFacts[] {
    return this.#listeners[listener]?.facts ?? []
  }

  /** Reads all of it. Throws CONFIG_INVALID where any cannot be used. */
  load(): void {
    this.#read()
    const faults = [...this.#findings()].filter(({ finding }) => finding.severity === 'error')
    if (faults.length > 0) {
      throw new CastorError('CONFIG_INVALID', faults.map(({ finding }) => finding.message).join('\n'))
    }
    this.#tell()
    this.#material = this.#build()
  }

  watch(): void {
    this.#watch.start()
    this.#timer = setInterval(() => this.reload(), LOOK_AGAIN_MS)
    this.#timer.unref()
  }

  stop(): void {
    this.#watch.stop()
    clearInterval(this.#timer)
  }

  /** Reads all of it again; where something is other than it was, `onChange` is called. */
  reload(): void {
    this.#read()
    this.#tell()
    const next = this.#build()
    if (isDeepStrictEqual(next, this.#material)) return
    this.#material = next
    this.#log.info({ certificates: this.#summary() }, 'certificates have changed; new connections get the new ones')
    this.onChange()
  }

  #read(): void {
    const nowMs = Date.now()
    const { listeners, targetGroups } = this.#config
    this.#listeners = listeners.map(({ tls }, index) =>
      tls === undefined ? undefined : readListenerFiles(tls, undefined, nowMs, this.#listeners[index]),
    )
    this.#groups = targetGroups.map(({ tls, protocol }, slot) => {
      if (tls === undefined) return undefined
      const read = readGroupFiles(tls, protocol, undefined, nowMs)
      const before = this.#groups[slot]?.config
      return read.config === undefined && before !== undefined ? { ...read, config: before } : read
    })
  }

  #build(): TlsMaterial {
    return {
      listeners: this.#config.listeners.map(({ tls }, index) => tls && serverTls(tls, this.#listeners[index]!)),
      groups: this.#config.targetGroups.map((_, slot) => this.#groups[slot]?.config),
    }
  }

  *#findings(): Generator<{ readonly of: Of; readonly finding: Finding }> {
    for (const [index, { name }] of this.#config.listeners.entries()) {
      for (const finding of this.#listeners[index]?.findings ?? []) yield { of: { listener: name }, finding }
    }
    for (const [slot, { name }] of this.#config.targetGroups.entries()) {
      for (const finding of this.#groups[slot]?.findings ?? []) yield { of: { targetGroup: name }, finding }
    }
  }

  /** Logs what is to be said; the same only once, for as long as it holds and however often the files are looked at. */
  #tell(): void {
    const holds = new Set<string>()
    for (const { of, finding } of this.#findings()) {
      const { severity, message } = finding
      holds.add(message)
      if (this.#said.has(message)) continue
      if (severity === 'error') {
        this.#log.error({ ...of, problem: message }, 'a certificate is refused; the one before serves on')
      } else {
        this.#log.warn({ ...of, problem: message }, 'a certificate needs attention')
      }
    }
    this.#said = holds
  }

  #summary(): string[] {
    return this.#listeners.flatMap((files) =>
      (files?.facts ?? []).map(({ names, path, validUntilMs }) => {
        const until = new Date(validUntilMs).toISOString()
        return `${names[0] ?? path} until ${until}`
      }),
    )
  }
}

function filesOf({ listeners, targetGroups }: Config): string[] {
  const ofListeners = listeners.flatMap(({ tls }) =>
    tls === undefined ? [] : [...tls.certificates.flatMap(({ cert, key }) => [cert, key]), tls.clientCertificates.ca],
  )
  const ofGroups = targetGroups.flatMap(({ tls }) => (tls === undefined ? [] : [tls.ca, tls.cert, tls.key]))
  return [...new Set([...ofListeners, ...ofGroups])].filter((path) => path !== '')
}
