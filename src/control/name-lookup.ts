import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import type { Logger } from '../observe/log.js'

/** A name that resolved is looked up again after this long. */
const REFRESH_MS = 10_000
/** One that did not after this long, and twice as long each time it still does not. */
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** At once; more wait for their turn. */
const MAX_LOOKUPS = 32
/** For each of two tries of a name server. */
const SERVER_TIMEOUT_MS = 1_000
const HOSTS_FILE = '/etc/hosts'

/** Asks the system for names. */
export interface NameService {
  /**
   * The addresses of a name in the order in which the system would have them used (RFC 6724), at least one. Rejects with
   * an error whose code is the resolver's word.
   */
  lookup(host: string): Promise<readonly string[]>
}

/**
 * The system's own resolver, which knows of hosts files and search domains and asks name servers for as long as it likes:
 * two look-ups at a time in the whole process, so that a few dead names would hold up all others. So name servers are
 * asked first by a resolver that needs no thread; a name on which they are silent never gets as far as the system's.
 */
export const SYSTEM_NAMES: NameService = {
  async lookup(host) {
    if (!(await isInHostsFile(host))) await provoke(host)
    return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)
  },
}

/** Rejects where name servers do not answer in time; any answer is for the system's resolver to understand. */
async function provoke(host: string): Promise<void> {
  const resolver = new Resolver({ timeout: SERVER_TIMEOUT_MS, tries: 2 })
  try {
    await resolver.resolve4(host)
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ETIMEOUT') throw fault
  }
}

async function isInHostsFile(host: string): Promise<boolean> {
  const text = await readFile(HOSTS_FILE, 'utf8').catch(() => '')
  const name = host.toLowerCase()
  return text.split('\n').some((line) => {
    const [, ...names] = line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/)
    return names.includes(name)
  })
}

interface Name {
  addresses: readonly string[]
  failures: number
  dueMs: number
  /** Set while it is being looked up. */
  looking: Promise<void> | undefined
}

/** The addresses of names: each looked up by itself, never twice at a time, and ever more seldom while it fails. */
export class NameLookups {
  readonly #service: NameService
  readonly #log: Logger
  readonly #now: () => number
  readonly #names = new Map<string, Name>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** `now` in milliseconds of a monotonic clock. */
  constructor(service: NameService, log: Logger, now: () => number = () => performance.now()) {
    this.#service = service
    this.#log = log
    this.#now = now
  }

  /** As last found; empty while the name has never resolved. */
  addresses(host: string): readonly string[] {
    return this.#names.get(host)?.addresses ?? []
  }

  /** Looks the name up if its time has come. Resolves when no look-up of it is under way; never rejects. */
  async look(host: string): Promise<void> {
    const nowMs = this.#now()
    let name = this.#names.get(host)
    if (name === undefined) {
      name = { addresses: [], failures: 0, dueMs: nowMs, looking: undefined }
      this.#names.set(host, name)
    }
    if (name.looking === undefined && nowMs >= name.dueMs) {
      const begun = name
      begun.looking = this.#lookUp(host, begun).finally(() => {
        begun.looking = undefined
      })
    }
    await name.looking
  }

  /** Forgets the names that nobody uses any more. */
  keepOnly(hosts: ReadonlySet<string>): void {
    for (const [host, { looking }] of this.#names) {
      if (!hosts.has(host) && looking === undefined) this.#names.delete(host)
    }
  }

  async #lookUp(host: string, name: Name): Promise<void> {
    if (this.#running >= MAX_LOOKUPS) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#running++
    try {
      name.addresses = await this.#service.lookup(host)
      name.failures = 0
      name.dueMs = this.#now() + REFRESH_MS
    } catch (fault) {
      // It keeps the addresses that it had.
      name.dueMs = this.#now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** name.failures++)
      const why = (fault as NodeJS.ErrnoException).code ?? String(fault)
      this.#log.warn({ host, why }, 'a target name does not resolve')
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }
}
