import { readdir } from 'node:fs/promises'
import type { CertificateFacts } from '../core/tls.js'
import type { LoopDelaySample } from '../observe/loop-delay.js'
import type { ClusterFacts, WorkerFacts } from './facts.js'

/** What `/metrics` says about the process besides shared memory. */
export interface ProcessFacts {
  readonly node: string
  readonly version: string
  readonly startedAtMs: number
  readonly workers: readonly WorkerFacts[]
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** Undefined where the system does not tell. */
  readonly openFds: number | undefined
  readonly cluster: ClusterFacts | undefined
  readonly primaryLoopDelay: LoopDelaySample
  /** Those that are served, by index of the listener. */
  certificates(listener: number): readonly CertificateFacts[]
}

/** CPU of all threads, resident memory and open descriptors, as of now. */
export async function measureProcess(): Promise<Pick<ProcessFacts, 'cpuSeconds' | 'residentBytes' | 'openFds'>> {
  const { user, system } = process.cpuUsage()
  // One of the entries is the folder itself, open while it is read.
  const openFds = await readdir('/proc/self/fd').then(
    (entries) => entries.length - 1,
    () => undefined,
  )
  return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss(), openFds }
}
