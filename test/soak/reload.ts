// npm run soak:reload: many reloads under traffic, and what they cost. --reloads N, 1,000 by default.
import { parseArgs } from 'node:util'
import { soakReloads } from '../integration/support/reload-soak.js'

const { values } = parseArgs({ options: { reloads: { type: 'string', default: '1000' } } })
const reloads = Number(values.reloads)
const ends: (() => unknown)[] = []
const t = { teardown: (end: () => unknown) => ends.unshift(end) }
const MIB = 1024 * 1024
try {
  const onProgress = (done: number): void => {
    if (done % 50 === 0) process.stdout.write(`${done} of ${reloads} reloads\n`)
  }
  const result = await soakReloads(t, { reloads, downloadBytes: 1024 * MIB, wrk: true, onProgress })
  const sorted = [...result.reloadMs].sort((a, b) => a - b)
  const at = (share: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(0)
  const growth = ((result.endBytes / result.warmBytes - 1) * 100).toFixed(1)
  process.stdout.write(
    `${reloads} reloads: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n` +
      `${result.requests} requests, ${result.echoes} echoes, ${(result.downloadedBytes / MIB).toFixed(0)} MiB downloaded\n` +
      `memory ${(result.warmBytes / MIB).toFixed(0)} MiB after a tenth, ${(result.endBytes / MIB).toFixed(0)} MiB at the end (${growth} %)\n` +
      `${result.failed.length} failed\n`,
  )
  for (const line of [...result.failed, ...result.warnings].slice(0, 20)) process.stdout.write(`  ${line}\n`)
  process.exitCode = result.failed.length > 0 || result.warnings.length > 0 ? 1 : 0
} finally {
  for (const end of ends) await end()
}
