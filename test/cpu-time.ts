/**
 * The least processor time that one of several runs of `work` took, in milliseconds. Other programs on the machine make a
 * run take longer by the clock, and do not count here.
 */
export function leastCpuMs(runs: number, work: () => void): number {
  let leastMs = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    leastMs = Math.min(leastMs, (user + system) / 1_000)
  }
  return leastMs
}
