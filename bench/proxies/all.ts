import { caddy } from './caddy.js'
import { castor } from './castor.js'
import { haproxy } from './haproxy.js'
import { nginx } from './nginx.js'
import { fastifyHttpProxy, httpProxy3 } from './node-peer.js'
import type { Contender } from './proxy.js'

/** Whose limits are judged, and against whom. */
export const SUBJECT = castor.name
export const REFERENCE = haproxy.name

/** In the order they take turns and are reported. */
export const allProxies: readonly Contender[] = [castor, haproxy, nginx, caddy, httpProxy3, fastifyHttpProxy]
