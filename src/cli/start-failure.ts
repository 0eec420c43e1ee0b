import { networkInterfaces } from 'node:os'
import { ConfigError, type Path } from '../config/problems.js'
import { listenRefusal, portHolderInWords, portOf, systemCode } from '../control/listen-refusal.js'
import type { Config } from '../core/config.js'
import { CastorError, ERROR_KINDS } from '../core/errors.js'
import { type Called, commandWith } from './command-line.js'
import { EXIT, exitCodeOf } from './exit-code.js'
import { FIRST_UNPRIVILEGED, otherAddresses } from './free-port.js'

/** What is known of a start that failed. */
export interface StartAttempt {
  readonly called: Called
  /** Undefined where the configuration could not be read. */
  readonly config?: Config | undefined
  /** Where a value is configured: `castor.yaml:4:13: listeners.0.listen`. */
  readonly place?: ((path: Path) => string) | undefined
}

const MORE_FILES = '`ulimit -n 1024` in the shell, or `LimitNOFILE=` in the systemd unit'
const LABEL_CELLS = 16

/** One readable block for people; undefined for what no operator can have brought about, which is reported with its stack. */
export async function explainFailedStart(error: unknown, attempt: StartAttempt): Promise<string | undefined> {
  if (error instanceof ConfigError) {
    const { length } = error.problems
    return `${error.message}\ncastor did not start: ${length} problem${length === 1 ? '' : 's'} in the configuration\n`
  }
  const code = systemCode(error)
  if (code === 'EMFILE' || code === 'ENFILE') {
    const whose = code === 'EMFILE' ? 'this process' : 'the whole system'
    return block(`the open-file limit of ${whose} is reached (${code})`, [['raise it', MORE_FILES]])
  }
  if (error instanceof CastorError) {
    const { configPath, message, origin } = error
    const facts: [string, string][] = []
    if (configPath !== undefined && attempt.place !== undefined)
      facts.push(['configured at', attempt.place(configPath)])
    if (error.code === 'LISTEN_FAILED') {
      return block(listenRefusal(message, code), [...facts, ...(await listenAdvice(code, message, attempt))])
    }
    // What the machine did not allow comes as the system's own word: say what it was about.
    const needsSummary = origin === 'operator' && configPath === undefined && exitCodeOf(error) !== EXIT.invalid
    const summary = needsSummary ? `${ERROR_KINDS[error.code].summary}: ` : ''
    const advice: [string, string][] = error.code === 'OUT_OF_DESCRIPTORS' ? [['raise it', MORE_FILES]] : []
    return block(`${summary}${message}`, [...facts, ...advice])
  }
  // A call of the system that failed, and not a fault of the program.
  if (code !== undefined && error instanceof Error && 'syscall' in error) return block(error.message, [])
  return undefined
}

/** What can be done about an address that is refused. */
async function listenAdvice(
  code: string | undefined,
  message: string,
  { config, called }: StartAttempt,
): Promise<[string, string][]> {
  const advice: [string, string][] = []
  const port = portOf(message)
  if (code === 'EADDRINUSE') advice.push(['in use by', portHolderInWords(port)])
  if ((code === 'EACCES' || code === 'EPERM') && port > 0 && port < FIRST_UNPRIVILEGED) {
    advice.push(['allow it', 'CAP_NET_BIND_SERVICE: `AmbientCapabilities=CAP_NET_BIND_SERVICE` in the systemd unit'])
  }
  if (code === 'EADDRNOTAVAIL') {
    advice.push(['this host has', ownAddresses().join(', ')])
    if ((config?.vips.length ?? 0) > 0) advice.push(['an address of vips', 'sysctl net.ipv4.ip_nonlocal_bind=1'])
  }
  const sets = config === undefined ? [] : await otherAddresses(config)
  if (sets.length > 0)
    advice.push([code === 'EADDRNOTAVAIL' ? 'start without' : 'another port', commandWith(sets, called)])
  return advice
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return [...new Set(all.map(({ address }) => address))]
}

function block(title: string, facts: readonly (readonly [string, string])[]): string {
  const lines = facts.map(([label, text]) => `  ${label.padEnd(LABEL_CELLS)}${text}\n`)
  return `castor did not start: ${title}\n${lines.join('')}`
}
