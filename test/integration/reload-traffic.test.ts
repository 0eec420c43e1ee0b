import t from 'tap'
import { soakReloads } from './support/reload-soak.js'

t.test('reload after reload no request fails and no connection ends, whatever changes around it', async (t) => {
  const result = await soakReloads(t, { reloads: 40, downloadBytes: 96 * 1024 * 1024 })
  t.same(result.failed, [])
  t.same(result.warnings, [])
  t.ok(result.requests > 100, `${result.requests} requests`)
  t.ok(result.echoes > 20, `${result.echoes} echoes`)
  t.comment(`${result.reloadMs.length} reloads, the slowest ${Math.max(...result.reloadMs).toFixed(0)} ms`)
})
