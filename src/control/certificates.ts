import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../config/certificate.js'
import {
  type GroupFiles,
  type ListenerFiles,
  readGroupFiles,
  readListenerFiles,
  serverTls,
} from '../config/tls-files.js'
import type { Config, ListenerConfig } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import type { Snapshot } from '../core/snapshot.js'
import type { CertificateFacts, ServerTlsConfig, TlsMaterial } from '../core/tls.js'
import type { Logger } from '../observe/log.js'
import { FileWatch, type FileWatchTimes } from './file-watch.js'

/** Time alone brings certificates to their end. */
const LOOK_AGAIN_MS = 24 * 60 * 60 * 1000

type Of = { readonly listener: string } | { readonly targetGroup: string }

/** What the files of one configuration say, by the names of listeners and groups. */
interface CertificateSet {
  readonly config: Config
  readonly listeners: ReadonlyMap<string, ListenerFiles>
  readonly groups: ReadonlyMap<string, GroupFiles>
}

/** The files of another configuration, read and found good; nothing goes by them before `commit`. */
export interface PreparedCertificates {
  commit(): void
}

/**
 * Every certificate, key and bundle of authorities of the configuration: read at the start, with each configuration after
 * that, and again whenever a file changes. What is not good then is refused and logged, and what was there before serves on.
 */
export class Certificates {
  readonly #log: Logger
  readonly #times: FileWatchTimes | undefined
  #set: CertificateSet
  #watch: FileWatch | undefined
  /** What was said and still holds. */
  #said: ReadonlySet<string>
  #timer: NodeJS.Timeout | undefined
  onChange: () => void = () => {}

  /** `said` has been said already, when the configuration was read. */
  constructor(config: Config, log: Logger, said: ReadonlySet<string> = new Set(), times?: FileWatchTimes) {
    this.#set = { config, listeners: new Map(), groups: new Map() }
    this.#log = log
    this.#said = said
    this.#times = times
  }

  /** What the threads are given, by the slots of the snapshot. */
  material({ listeners, groups }: Pick<Snapshot, 'listeners' | 'groups'>): TlsMaterial {
    const set = this.#set
    return {
      listeners: listeners.map((entry) => entry && builtListener(entry.config, set)),
      groups: groups.map((entry) => entry && set.groups.get(entry.config.name)?.config),
    }
  }

  /** The certificates that a listener serves. */
  facts(listener: string): readonly CertificateFacts[] {
    return this.#set.listeners.get(listener)?.facts ?? []
  }

  /** Reads all of it. Throws CONFIG_INVALID where any cannot be used. */
  load(): void {
    this.prepare(this.#set.config).commit()
  }

  /** Reads what another configuration names. Throws CONFIG_INVALID where any of it cannot be used. */
  prepare(config: Config): PreparedCertificates {
    const next = read(config, this.#set)
    const faults = [...findings(next)].filter(({ finding }) => finding.severity === 'error')
    if (faults.length > 0) {
      throw new CastorError('CONFIG_INVALID', faults.map(({ finding }) => finding.message).join('\n'))
    }
    return {
      commit: () => {
        this.#set = next
        this.#tell()
        if (this.#watch !== undefined) this.watch()
      },
    }
  }

  watch(): void {
    this.stop()
    this.#watch = new FileWatch(filesOf(this.#set.config), this.#log, () => this.reload(), this.#times)
    this.#watch.start()
    this.#timer = setInterval(() => this.reload(), LOOK_AGAIN_MS)
    this.#timer.unref()
  }

  stop(): void {
    this.#watch?.stop()
    clearInterval(this.#timer)
  }

  /** Reads all of it again; where something is other than it was, `onChange` is called. */
  reload(): void {
    const before = built(this.#set)
    this.#set = read(this.#set.config, this.#set)
    this.#tell()
    if (isDeepStrictEqual(built(this.#set), before)) return
    this.#log.info({ certificates: this.#summary() }, 'certificates have changed; new connections get the new ones')
    this.onChange()
  }

  /** Logs what is to be said; the same only once, for as long as it holds and however often the files are looked at. */
  #tell(): void {
    const holds = new Set<string>()
    for (const { of, finding } of findings(this.#set)) {
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
    return [...this.#set.listeners.values()].flatMap(({ facts }) =>
      facts.map(({ names, path, validUntilMs }) => {
        const until = new Date(validUntilMs).toISOString()
        return `${names[0] ?? path} until ${until}`
      }),
    )
  }
}

/** Where a file is not good any more, what it said before stays. */
function read(config: Config, before: CertificateSet): CertificateSet {
  const nowMs = Date.now()
  const listeners = new Map<string, ListenerFiles>()
  for (const { name, tls } of config.listeners) {
    if (tls !== undefined) listeners.set(name, readListenerFiles(tls, undefined, nowMs, before.listeners.get(name)))
  }
  const groups = new Map<string, GroupFiles>()
  for (const { name, tls, protocol } of config.targetGroups) {
    if (tls === undefined) continue
    const files = readGroupFiles(tls, protocol, undefined, nowMs)
    const kept = before.groups.get(name)?.config
    groups.set(name, files.config === undefined && kept !== undefined ? { ...files, config: kept } : files)
  }
  return { config, listeners, groups }
}

function built(set: CertificateSet): unknown[] {
  const { listeners, targetGroups } = set.config
  return [
    listeners.map((config) => builtListener(config, set)),
    targetGroups.map(({ name }) => set.groups.get(name)?.config),
  ]
}

function builtListener({ name, tls }: ListenerConfig, { listeners }: CertificateSet): ServerTlsConfig | undefined {
  const files = listeners.get(name)
  return tls && files && serverTls(tls, files)
}

function* findings({ config, listeners, groups }: CertificateSet): Generator<{ of: Of; finding: Finding }> {
  for (const { name } of config.listeners) {
    for (const finding of listeners.get(name)?.findings ?? []) yield { of: { listener: name }, finding }
  }
  for (const { name } of config.targetGroups) {
    for (const finding of groups.get(name)?.findings ?? []) yield { of: { targetGroup: name }, finding }
  }
}

function filesOf({ listeners, targetGroups }: Config): string[] {
  const ofListeners = listeners.flatMap(({ tls }) =>
    tls === undefined ? [] : [...tls.certificates.flatMap(({ cert, key }) => [cert, key]), tls.clientCertificates.ca],
  )
  const ofGroups = targetGroups.flatMap(({ tls }) => (tls === undefined ? [] : [tls.ca, tls.cert, tls.key]))
  return [...new Set([...ofListeners, ...ofGroups])].filter((path) => path !== '')
}
