import { readdir } from 'node:fs/promises'
import type { CertificateFacts } from '../core/tls.js'
import type { LoopDelaySample } from '../observe/loop-delay.js'
import type { ClusterFacts, WorkerFacts } from './facts.js'
import type { ConfigurationState } from './reload-control.js'

/** What `/metrics` says about the process besides shared memory. */
export interface ProcessFacts {
  readonly node: string
  readonly version: string
  readonly startedAtMs: number
  readonly workers: readonly WorkerFacts[]
  /** Each undefined where the system does not tell, as without /proc. */
  readonly cpuSeconds: number | undefined
  readonly residentBytes: number | undefined
  readonly openFds: number | undefined
  readonly cluster: ClusterFacts | undefined
  readonly configuration: ConfigurationState
  readonly primaryLoopDelay: LoopDelaySample
  /** Those that are served, by index of the listener. */
  certificates(listener: number): readonly CertificateFacts[]
}

/** CPU of all threads, resident memory and open descriptors, as of now. */
export async function measureProcess(): Promise<Pick<ProcessFacts, 'cpuSeconds' | 'residentBytes' | 'openFds'>> {
  const cpuSeconds = told(() => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  // One of the entries is the folder itself, open while it is read.
  const openFds = await readdir('/proc/self/fd').then(
    (entries) => entries.length - 1,
    () => undefined,
  )
  return { cpuSeconds, residentBytes: told(() => process.memoryUsage.rss()), openFds }
}

function told(measure: () => number): number | undefined {
  try {
    return measure()
  } catch {
    return undefined
  }
}
