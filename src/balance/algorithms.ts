import type { Balancer } from '../core/balancer.js'
import type { Algorithm } from '../core/config.js'
import { LeastConnections } from './least-connections.js'
import { Maglev } from './maglev.js'
import { PeakEwma } from './peak-ewma.js'
import { RandomTwo } from './random-two.js'
import { RoundRobin } from './round-robin.js'
import { SourceIp } from './source-ip.js'

/** Makes the balancer for each `algorithm` of the config. One serves any number of groups, on one thread. */
export const ALGORITHMS: Readonly<Record<Algorithm, () => Balancer>> = {
  'round-robin': () => new RoundRobin(),
  'least-connections': () => new LeastConnections(),
  'source-ip': () => new SourceIp(),
  'random-two': () => new RandomTwo(),
  'peak-ewma': () => new PeakEwma(),
  maglev: () => new Maglev(),
}
