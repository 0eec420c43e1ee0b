import { beforeFolder } from '../paths.js'
import { caddy } from './caddy.js'
import { castor, castorBefore } from './castor.js'
import { haproxy } from './haproxy.js'
import { nginx } from './nginx.js'
import { fastifyHttpProxy, httpProxy3 } from './node-peer.js'
import type { Contender } from './proxy.js'

/** Whose limits are judged, and against whom. */
export const SUBJECT = castor.name
const reference = beforeFolder === undefined ? haproxy : castorBefore
export const REFERENCE = reference.name
export const REFERENCE_TITLE = reference.title

/** Beside another checkout, other programs would only take its time. */
const besideBefore: readonly Contender[] = [castor, castorBefore]

/** In the order they take turns and are reported. */
export const allProxies: readonly Contender[] = [
  castor,
  castorBefore,
  haproxy,
  nginx,
  caddy,
  httpProxy3,
  fastifyHttpProxy,
]

export const defaultProxies = beforeFolder === undefined ? allProxies : besideBefore
