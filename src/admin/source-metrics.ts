import type { SharedSources } from '../core/shared-counters.js'
import type { Exposition } from '../observe/prometheus.js'
import { SourceTable } from '../shm/source-table.js'

const PRIMARY_COLUMN = 0

/** How well the table of sources has room for those that come. */
export function sourceMetrics(out: Exposition, shared: SharedSources): void {
  const { evicted, uncounted } = new SourceTable(shared, PRIMARY_COLUMN)
  out.family('castor_source_evictions_total', 'counter', 'Sources that were forgotten for others within two minutes.')
  out.sample({}, evicted)
  out.family('castor_sources_uncounted_total', 'counter', 'Connections of sources that no place was to be had for.')
  out.sample({}, uncounted)
}
