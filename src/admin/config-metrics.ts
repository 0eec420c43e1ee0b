import type { Exposition } from '../observe/prometheus.js'
import type { ConfigurationState } from './reload-control.js'

export function configMetrics(out: Exposition, { version, counts, last, lastSuccessMs }: ConfigurationState): void {
  out.family('castor_config_version', 'gauge', 'Version of the configuration in force, 1 at the start.')
  out.sample({}, version)
  out.family('castor_config_reloads_total', 'counter', 'Reloads, by what came of them.')
  for (const [result, count] of Object.entries(counts)) out.sample({ result }, count)
  out.family(
    'castor_config_last_reload_successful',
    'gauge',
    'Whether the last reload found a file that it could apply; 1 before the first.',
  )
  out.sample({}, last === undefined || last.reasons.length === 0 ? 1 : 0)
  out.family(
    'castor_config_last_reload_success_timestamp_seconds',
    'gauge',
    'When the configuration was last read and found right, in seconds since the epoch.',
  )
  out.sample({}, lastSuccessMs / 1000)
  out.family(
    'castor_config_last_reload_timestamp_seconds',
    'gauge',
    'When the configuration was last read, whatever came of it, in seconds since the epoch.',
  )
  out.sample({}, (last?.atMs ?? lastSuccessMs) / 1000)
}
