import type { AdminListen, ListenAddress } from '../core/config.js'
import { MAX_TARGETS } from '../core/shared-counters.js'
import {
  canonicalTarget,
  clash,
  formatAddress,
  isLoopback,
  parseAdminListen,
  parseListenAddress,
  parseTargetAddress,
} from './addresses.js'

import { checkHealthCheck } from './check-health.js'
import { checkPair } from './check-pair.js'
import { checkRules } from './check-rules.js'
import { checkStickyCookie } from './check-stickiness.js'
import { checkGroupTls, checkListenerTls } from './check-tls.js'
import { checkTokens, hasToken } from './check-tokens.js'
import { checkPlugins } from './inspect-plugins.js'
import type { Path } from './problems.js'
import { didYouMean } from './suggest.js'
import { type Entry, entries, type Fields, flagOf, isFields, type Report, text } from './tree.js'
import { unique } from './unique.js'
import { parseDuration } from './units.js'

/**
 * What no single value shows: names used twice, groups that are missing, protocols and addresses that do not go
 * together. Works on the tree as read, so that these are said even while other values are still wrong; what is of the
 * wrong type is passed over here, since the schema has complained about it.
 */
export function crossCheck(tree: unknown, report: Report): void {
  const root = isFields(tree) ? tree : {}
  const listeners = entries(root, 'listeners')
  const groups = entries(root, 'targetGroups')
  unique(listeners, (entry) => text(entry.fields.name), 'name', report)
  unique(groups, (entry) => text(entry.fields.name), 'name', report)
  const groupsByName = byName(groups)
  let hints = MAX_HINTS
  for (const listener of listeners) {
    if (!checkGroupOf(listener, groupsByName, hints > 0, report)) hints--
    checkListenerKeys(listener, report)
    checkListenerTls(listener, report)
  }
  checkRules(root, groupsByName, report)
  checkPlugins(root, groupsByName, report)
  for (const group of groups) {
    checkGroup(group, report)
    checkGroupTls(group, report)
  }
  checkNumberOfTargets(groups, report)
  checkSecret(root, report)
  checkRedis(root, report)
  checkPair(root, report)
  checkAdmin(root, report)
  checkTokens(root, report)
  checkAddresses(root, listeners, report)
}

/** Of all groups together. */
function checkNumberOfTargets(groups: readonly Entry[], report: Report): void {
  const listed = groups.reduce(
    (sum, { fields }) => sum + (Array.isArray(fields.targets) ? fields.targets.length : 0),
    0,
  )
  if (listed > MAX_TARGETS)
    report(['targetGroups'], `${listed} targets are more than the ${MAX_TARGETS} that there may be`)
}

function checkRedis({ cluster }: Fields, report: Report): void {
  const redis = isFields(cluster) && isFields(cluster.redis) ? cluster.redis : {}
  if (text(redis.ca) && flagOf(redis.tls) !== true) {
    report(['cluster', 'redis', 'ca'], 'ca has no effect without tls: true; set that, or leave it out', 'key')
  }
}

/** Listeners of unknown groups for which a proposal is looked for, and names that are listed where there is none. */
const MAX_HINTS = 20
const MAX_NAMES = 20

function hintOf(wanted: string, names: readonly string[]): string {
  const meant = didYouMean(wanted, names)
  if (meant !== '' || names.length === 0) return meant
  const rest = names.length > MAX_NAMES ? `, and ${names.length - MAX_NAMES} more` : ''
  return `; there are: ${names.slice(0, MAX_NAMES).join(', ')}${rest}`
}

function byName(groups: readonly Entry[]): Map<string, Entry> {
  const named = new Map<string, Entry>()
  for (const group of groups) {
    const name = text(group.fields.name)
    if (name !== undefined && !named.has(name)) named.set(name, group)
  }
  return named
}

/** False where the listener names a group that is not there. */
function checkGroupOf(listener: Entry, groups: ReadonlyMap<string, Entry>, withHint: boolean, report: Report): boolean {
  const wanted = text(listener.fields.targetGroup)
  if (wanted === undefined) return true
  const group = groups.get(wanted)
  const path = [...listener.path, 'targetGroup']
  if (group === undefined) {
    const hint = withHint ? hintOf(wanted, [...groups.keys()]) : ''
    report(path, `no target group is named "${wanted}"${hint}`)
    return false
  }
  const own = listener.fields.protocol
  const theirs = group.fields.protocol
  const bytes = carriesBytes(own)
  if (bytes === undefined || carriesBytes(theirs) === undefined || bytes === carriesBytes(theirs)) return true
  const allowed = bytes ? 'tcp or tls' : 'http, https, h2 or h2c'
  report(path, `the listener speaks ${own} and the group "${wanted}" ${theirs}; it must be ${allowed}`)
  return true
}

const BYTES: readonly unknown[] = ['tcp', 'tls']
const REQUESTS: readonly unknown[] = ['http', 'https', 'h2', 'h2c']

/** Whether a listener or group of that protocol passes bytes through rather than requests; undefined for none that is. */
function carriesBytes(protocol: unknown): boolean | undefined {
  if (BYTES.includes(protocol)) return true
  return REQUESTS.includes(protocol) ? false : undefined
}

const MOST_HTTP_IDLE_MS = 24 * 3_600_000
const HTTP_LISTENER_KEYS = ['upgrades', 'halfClose', 'websocketIdleTimeout', 'trustForwardedFrom', 'explainFrom']

/** A key that could have no effect is refused: whoever wrote it counts on it. */
function checkListenerKeys(listener: Entry, report: Report): void {
  const { protocol, idleTimeout } = listener.fields
  if (carriesBytes(protocol) === false && isTooLong(idleTimeout)) {
    report([...listener.path, 'idleTimeout'], `must be from 1s to 24h, not ${String(idleTimeout)}`, 'value')
  }
  if (!carriesBytes(protocol)) return
  const limits = isFields(listener.fields.limits) ? listener.fields.limits : {}
  for (const key of REQUEST_LIMITS) {
    if (limits[key] === undefined) continue
    report(
      [...listener.path, 'limits', key],
      `${key} has no effect on a ${String(protocol)} listener; leave it out`,
      'key',
    )
  }
  for (const key of HTTP_LISTENER_KEYS) {
    const value = listener.fields[key]
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue
    report([...listener.path, key], `${key} has no effect on a ${String(protocol)} listener; leave it out`, 'key')
  }
}

const REQUEST_LIMITS = ['requestsPerSecond', 'bodyBytes']

/** For requests: connections that carry bytes may be silent for as long as their peers like. */
function isTooLong(idleTimeout: unknown): boolean {
  if (idleTimeout === 'off' || idleTimeout === false) return true
  const parsed = typeof idleTimeout === 'string' ? parseDuration(idleTimeout) : undefined
  return parsed?.ok === true && parsed.value > MOST_HTTP_IDLE_MS
}

/** What could never hold anybody is refused, so that nobody counts on it; the defaults may be written out. */
function checkQueue(group: Entry, report: Report): void {
  const { queue, maxConnectionsPerTarget: limit } = group.fields
  if (!isFields(queue)) return
  const waits = typeof queue.size === 'number' && queue.size > 0
  if (waits && (limit === undefined || limit === 'unlimited')) {
    report(
      [...group.path, 'queue'],
      'queue has no effect without maxConnectionsPerTarget; set that, or leave it out',
      'key',
    )
  } else if (queue.size === undefined && queue.timeout !== undefined) {
    report([...group.path, 'queue', 'timeout'], 'timeout has no effect without size; set that, or leave it out', 'key')
  }
}

/** What other targets send is no head of HTTP/1.1. */
function checkTolerate({ path, fields: { protocol, tolerate } }: Entry, report: Report): void {
  if (!Array.isArray(tolerate) || tolerate.length === 0 || protocol === 'http' || protocol === 'https') return
  report([...path, 'tolerate'], 'tolerate works in http and https groups only; leave it out', 'key')
}

function checkPanic({ path, fields: { outlierDetection, panicPercent } }: Entry, report: Report): void {
  if (panicPercent === undefined || flagOf(outlierDetection) !== false) return
  report([...path, 'panicPercent'], 'panicPercent has no effect where outlierDetection is off; leave it out', 'key')
}

function checkGroup(group: Entry, report: Report): void {
  const { protocol, proxyProtocol } = group.fields
  const targets = entries(group.fields, 'targets', group.path)
  const idOf = (target: Entry): string | undefined => text(target.fields.id) ?? text(target.fields.address)
  unique(targets, idOf, (target) => (target.fields.id === undefined ? 'address' : 'id'), report)
  checkServers(targets, idOf, report)
  if (
    carriesBytes(protocol) === false &&
    proxyProtocol !== undefined &&
    proxyProtocol !== 'off' &&
    proxyProtocol !== false
  ) {
    report([...group.path, 'proxyProtocol'], 'proxyProtocol works in tcp and tls groups only; leave it out', 'key')
  }
  if (group.fields.hashOn !== undefined && group.fields.algorithm !== 'maglev') {
    report([...group.path, 'hashOn'], 'hashOn has no effect without algorithm: maglev; leave it out', 'key')
  }
  checkTolerate(group, report)
  checkPanic(group, report)
  checkHealthCheck(group, report)
  checkQueue(group, report)
  checkStickyCookie(group, report)
  const { stickiness } = group.fields
  if (!carriesBytes(protocol)) return
  const kind = `a ${String(protocol)} group`
  if (isFields(stickiness) && stickiness.type !== 'source-ip') {
    report([...group.path, 'stickiness', 'type'], `${kind} sees no cookies; write source-ip or leave stickiness out`)
  }
  const { hashOn } = group.fields
  if (hashOn !== undefined && hashOn !== 'source') {
    report([...group.path, 'hashOn'], `${kind} has nothing to hash but the source; leave hashOn out`)
  }
  const { outlierDetection } = group.fields
  const on = isFields(outlierDetection) ? outlierDetection.on : undefined
  if (Array.isArray(on) && on.length > 0 && !on.includes('connect')) {
    report(
      [...group.path, 'outlierDetection', 'on'],
      `${kind} sees no failures but connect; write [connect], or leave on out`,
    )
  }
  const { retries } = group.fields
  const after = isFields(retries) ? retries.on : undefined
  if (Array.isArray(after) && after.length > 0 && !after.includes('connect-failure')) {
    report(
      [...group.path, 'retries', 'on'],
      `${kind} is tried again after connect-failure only; write [connect-failure], or leave on out`,
    )
  }
  if (group.fields.forwarded !== undefined) {
    report([...group.path, 'forwarded'], `forwarded has no effect in ${kind}; leave it out`, 'key')
  }
  if (isFields(group.fields.timeouts) && group.fields.timeouts.response !== undefined) {
    const path = [...group.path, 'timeouts', 'response']
    report(path, `timeouts.response has no effect in ${kind}; use the listener’s idleTimeout`, 'key')
  }
}

function checkSecret(root: Fields, report: Report): void {
  if (root.cluster === undefined || root.secret === undefined || root.secret === '') return
  report(['secret'], 'secret has no effect in a cluster, where cluster.secret keys the cookies; leave it out', 'key')
}

const ADMIN_DEFAULT = '127.0.0.1:9900'

/** Every address of the admin API, with its place; what is none is passed over. */
function adminAddresses(root: Fields): { readonly listen: AdminListen; readonly path: Path }[] {
  const written = (isFields(root.admin) ? root.admin.listen : undefined) ?? ADMIN_DEFAULT
  const path = ['admin', 'listen']
  const all = Array.isArray(written)
    ? written.map((item, index) => ({ item, path: [...path, index] }))
    : [{ item: written, path }]
  return all.flatMap(({ item, path }) => {
    const parsed = typeof item === 'string' ? parseAdminListen(item) : undefined
    return parsed?.ok ? [{ listen: parsed.value, path }] : []
  })
}

function checkAdmin(root: Fields, report: Report): void {
  const sockets = new Set<string>()
  for (const { listen, path } of adminAddresses(root)) {
    if ('path' in listen) {
      if (sockets.has(listen.path)) report(path, `unix:${listen.path} is there twice; remove one`)
      sockets.add(listen.path)
    } else if (!isLoopback(listen.address) && !hasToken(root)) {
      const instead = `set admin.token, or listen on 127.0.0.1:${listen.port}`
      report(path, `${formatAddress(listen.address, listen.port)} is not loopback and no token is set; ${instead}`)
    }
  }
}

function checkAddresses(root: Fields, listeners: readonly Entry[], report: Report): void {
  const taken: { readonly listen: ListenAddress; readonly by: string }[] = []
  const take = (listen: ListenAddress | undefined, path: Path, by: string): void => {
    if (listen === undefined) return
    const other = taken.find((candidate) => clash(candidate.listen, listen))
    if (other === undefined) {
      taken.push({ listen, by })
      return
    }
    const own = formatAddress(listen.address, listen.port)
    const theirs = formatAddress(other.listen.address, other.listen.port)
    const which = own === theirs ? own : `${own} overlaps with ${theirs}, which`
    report(path, `${which} is already taken by ${other.by}; use another address or port`)
  }
  // Admin first: a listener that wants its address is the one to say something about, all the more where nothing names it.
  for (const { listen, path } of adminAddresses(root)) if (!('path' in listen)) take(listen, path, 'admin')
  for (const { path, fields } of listeners) {
    const by = text(fields.name) === undefined ? path.join('.') : `listener "${fields.name}"`
    if (Array.isArray(fields.listen)) {
      for (const [index, item] of fields.listen.entries()) {
        take(address(text(item)), [...path, 'listen', index], by)
      }
    } else {
      take(address(text(fields.listen)), [...path, 'listen'], by)
    }
  }
}

/** The same server twice would get double the traffic, however it is spelled and called. */
function checkServers(targets: readonly Entry[], idOf: (target: Entry) => string | undefined, report: Report): void {
  const first = new Map<string, Entry>()
  for (const target of targets) {
    const written = text(target.fields.address)
    const parsed = written === undefined ? undefined : parseTargetAddress(written)
    if (!parsed?.ok) continue
    const server = canonicalTarget(parsed.value.host, parsed.value.port)
    const before = first.get(server)
    if (before === undefined) first.set(server, target)
    else if (idOf(before) !== idOf(target)) {
      const where = before.path.join('.')
      report([...target.path, 'address'], `"${written}" is the same server as ${where}; list it once, by its weight`)
    }
  }
}

function address(written: string | undefined): ListenAddress | undefined {
  const parsed = written === undefined ? undefined : parseListenAddress(written)
  return parsed?.ok ? parsed.value : undefined
}
