import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

/** The machine as far as it explains the numbers, and nothing that would tell which one it is. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly virtual: boolean
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    // The first two numbers: what follows them may carry a builder's own naming.
    kernel: `${type()} ${/^\d+\.\d+/.exec(release())?.[0] ?? ''}`,
    virtual: /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'latin1')),
  }
}

/** The proxy has the first core to itself, load and origin share the second; on one core nothing is pinned. */
export const pinned = availableParallelism() >= 2
export const proxyCore = 0
export const loadCore = 1

/** The most files a process here may open: the limit the kernel will not let it raise. */
export function openFileLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
  const hard = line?.[1]
  return hard === undefined || hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
}
