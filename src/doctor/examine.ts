import type { Problem } from '../config/problems.js'
import { formatProblem } from '../config/problems.js'
import type { Config } from '../core/config.js'
import type { ServerFacts } from '../mesh/redis-facts.js'
import type { Finding, Host } from './finding.js'
import { kernelFindings } from './kernel.js'
import { type ProcessFacts, processFindings } from './process.js'
import { clockFinding, keepalivedFinding, nftablesFinding, redisFindings } from './services.js'

/** What is known of the configuration that the host is to run; undefined without one. */
export interface Examined {
  readonly config: Config | undefined
  /** Everything that was said of the file when it was read, certificates and keys included. */
  readonly warnings: readonly Problem[]
  readonly isNative: boolean
  readonly stateDir: string
  readonly redis: ServerFacts | string | undefined
}

/** Everything about the host that decides whether Castor can do its work there. */
export function examine(host: Host, { config, warnings, isNative, stateDir, redis }: Examined): readonly Finding[] {
  const ports = (config?.listeners ?? []).flatMap(({ listen }) => listen.map(({ port }) => port))
  const facts: ProcessFacts = { isNative, stateDir, ports }
  return [
    ...processFindings(host, facts),
    ...kernelFindings(host),
    clockFinding(host),
    nftablesFinding(host),
    keepalivedFinding(host, config?.vips.length ?? 0),
    ...redisFindings(redis),
    ...configFindings(config, warnings),
  ]
}

function configFindings(config: Config | undefined, warnings: readonly Problem[]): readonly Finding[] {
  const what = 'configuration'
  if (config === undefined) return [{ what, grade: 'unknown', found: 'none was given; name it with -c' }]
  if (warnings.length === 0) return [{ what, grade: 'ok', found: 'valid, and nothing to be said of it' }]
  return warnings.map((warning) => ({ what, grade: 'warn', found: formatProblem(warning) }))
}
