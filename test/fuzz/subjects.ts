import { startConfigFiles } from './config-files.js'
import { startHttp } from './fuzzer.js'
import { startHostileTargets } from './h2-targets.js'
import { startRedisFrames } from './redis-frames.js'
import type { StartSubject } from './subject.js'
import { TlsRecords } from './tls-records.js'

/** By the name that `--subjects` knows them by. */
export const SUBJECTS: Readonly<Record<string, StartSubject>> = {
  config: (random) => startConfigFiles(random),
  http: (random) => startHttp(random),
  redis: startRedisFrames,
  tls: (random) => TlsRecords.start(random),
  'h2-targets': startHostileTargets,
}
