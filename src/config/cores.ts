import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** What the core count is read from; a test puts its own files here. */
export interface CoreSources {
  /** The file's text, or undefined where it does not exist or may not be read. */
  readonly read: (path: string) => string | undefined
  /** Cores that the scheduler lets this process run on. */
  readonly parallelism: number
}

const SYSTEM: CoreSources = {
  read: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  parallelism: availableParallelism(),
}

/**
 * Cores this process may use: what the scheduler shows, but no more than the CPU quota of its control group (v1 or v2,
 * any level). A quota of 2.5 cores gives 2: a third busy thread would be stopped for part of every period, and every
 * request on it would wait that long.
 */
export function usableCores(sources: CoreSources = SYSTEM): number {
  const quota = cpuQuota(sources.read)
  return Math.max(1, Math.min(sources.parallelism, Math.floor(quota)))
}

/** The CPU quota in cores; infinite where none is set. */
export function cpuQuota(read: CoreSources['read']): number {
  let quota = Number.POSITIVE_INFINITY
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    // Each line: hierarchy id, controllers (empty for v2), path within the hierarchy.
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    if (!match) continue
    const controllers = match[1]!
    const path = match[2]!
    if (controllers === '') {
      for (const directory of upwards(path)) {
        quota = Math.min(quota, quotaOfV2(read(join('/sys/fs/cgroup', directory, 'cpu.max'))))
      }
    } else if (controllers.split(',').includes('cpu')) {
      for (const mount of new Set([controllers, 'cpu'])) {
        for (const directory of upwards(path)) {
          const base = join('/sys/fs/cgroup', mount, directory)
          quota = Math.min(
            quota,
            quotaOfV1(read(join(base, 'cpu.cfs_quota_us')), read(join(base, 'cpu.cfs_period_us'))),
          )
        }
      }
    }
  }
  return quota
}

/** The group's own directory and all above it, since each may set a quota; in a container only the top may be visible. */
function upwards(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  const directories: string[] = []
  for (let length = parts.length; length >= 0; length--) directories.push(`/${parts.slice(0, length).join('/')}`)
  return directories
}

/** `cpu.max` holds quota and period in microseconds, or `max` and the period. */
function quotaOfV2(text: string | undefined): number {
  const [quota, period] = (text ?? '').trim().split(/\s+/)
  return ratio(quota, period)
}

/** A quota of −1 means none. */
function quotaOfV1(quota: string | undefined, period: string | undefined): number {
  return ratio(quota?.trim(), period?.trim())
}

function ratio(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period)
  return cores > 0 && Number.isFinite(cores) ? cores : Number.POSITIVE_INFINITY
}
