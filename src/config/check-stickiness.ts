import { isIP } from 'node:net'
import type { ListenAddress } from '../core/config.js'
import { isLoopback, parseListenAddress } from './addresses.js'
import { answeringGroupsOf, rulesOf } from './check-rules.js'
import type { Path } from './problems.js'
import { type Entry, entries, type Fields, flagOf, isFields, type Report, text } from './tree.js'

/** Cookies are kept by name and host, without the port (RFC 6265 8.5): each group has a name of its own. */
export function defaultCookieName(group: string): string {
  return `CASTOR-${group}`
}

/** Attributes of Castor's own cookie with which no browser would keep it. */
export function checkStickyCookie(group: Entry, report: Report): void {
  const cookie = ownCookie(group)
  if (cookie === undefined) return
  const path = [...group.path, 'stickiness']
  const demand = secureDemand(cookie)
  if (demand !== undefined && flagOf(cookie.secure) === false) {
    report([...path, 'secure'], `browsers refuse ${demand} that is not Secure; write true, or leave secure out`)
  }
  const domain = text(cookie.domain) ?? ''
  if (domain === '') return
  if (text(cookie.name)?.toLowerCase().startsWith('__host-')) {
    report([...path, 'domain'], 'browsers refuse a cookie named __Host-… with a domain; leave one out', 'key')
  } else if (isIP(domain) !== 0) {
    report([...path, 'domain'], `browsers take no address for a domain; leave it out`, 'key')
  }
}

/** Tells of cookies that are right by themselves and will not do in the browser. */
export function warnOfStickyCookies(tree: unknown, warn: (path: Path, message: string) => void): void {
  const root = isFields(tree) ? tree : {}
  const listeners = listenersByGroup(root)
  const groups = entries(root, 'targetGroups').filter(({ fields }) => listeners.has(text(fields.name) ?? ''))
  for (const group of groups) warnOfPlainListener(group, listeners, warn)
  warnOfSharedNames(groups, listeners, warn)
  warnOfSharedSplits(root, warn)
}

/** Rules of one name whose splits differ: each gives clients anew that the other has just given a cookie. */
function warnOfSharedSplits(root: Fields, warn: Warn): void {
  const byName = new Map<string, { readonly listener: Entry; readonly groups: string }>()
  for (const listener of entries(root, 'listeners')) {
    for (const rule of rulesOf(listener, root)) {
      const name = text(rule.fields.name)
      // Of one that is called by a number the listener's name is part of the cookie's.
      if (name === undefined || /^\d+$/.test(name) || rule.fields.stickySplit === undefined) continue
      const groups = answeringGroupsOf(rule)
        .map((group) => group.name)
        .sort()
        .join(' ')
      const other = byName.get(name)
      if (other === undefined) byName.set(name, { listener, groups })
      else if (other.groups !== groups && other.listener !== listener && doListenersMeet(other.listener, listener)) {
        const whose = `a rule "${name}" of listener "${text(other.listener.fields.name) ?? ''}" keeps its clients with other groups`
        warn(
          [...rule.path, 'name'],
          `${whose} by a cookie "CASTOR-SPLIT-${name}" too: a browser keeps one of a name for all ports of a host; give each its own name`,
        )
      }
    }
  }
}

/** What browsers take only together with Secure: a name with a prefix (RFC 6265bis 4.1.3), or SameSite=None. */
function secureDemand({ name, sameSite }: Fields): string | undefined {
  if (sameSite === 'none') return 'a cookie of sameSite: none'
  return /^__(?:host|secure)-/i.test(text(name) ?? '') ? `a cookie named ${String(name)}` : undefined
}

function warnOfPlainListener(group: Entry, listeners: ListenersByGroup, warn: Warn): void {
  const cookie = ownCookie(group)
  const demand = cookie === undefined ? undefined : secureDemand(cookie)
  if (demand === undefined || (cookie!.secure !== undefined && cookie!.secure !== 'auto')) return
  const plain = listeners.get(text(group.fields.name)!)!.find(({ fields }) => fields.protocol === 'http')
  if (plain === undefined) return
  const where = `listener "${text(plain.fields.name) ?? ''}" speaks http`
  const message = `browsers refuse ${demand} that is not Secure, and ${where}; write secure: true where TLS ends in front of it`
  warn([...group.path, 'stickiness'], message)
}

type Warn = (path: Path, message: string) => void
type ListenersByGroup = ReadonlyMap<string, readonly Entry[]>

interface NamedCookie {
  readonly group: Entry
  readonly own: boolean
  readonly domain: string
  readonly addresses: readonly ListenAddress[]
}

/** Groups of one name that a further one is compared with. */
const MAX_COMPARED = 20

function warnOfSharedNames(groups: readonly Entry[], listeners: ListenersByGroup, warn: Warn): void {
  const byName = new Map<string, NamedCookie[]>()
  for (const group of groups) {
    const { stickiness, name } = group.fields
    if (!isFields(stickiness) || (stickiness.type !== 'cookie' && stickiness.type !== 'app-cookie')) continue
    const own = stickiness.type === 'cookie'
    const cookieName = text(stickiness.name) ?? (own ? defaultCookieName(text(name)!) : undefined)
    if (cookieName === undefined) continue
    const cookie: NamedCookie = {
      group,
      own,
      domain: own ? (text(stickiness.domain) ?? '').toLowerCase() : '',
      addresses: listeners.get(text(name)!)!.flatMap(addressesOf),
    }
    const before = byName.get(cookieName) ?? []
    // Two applications that set a cookie of one name overwrite each other's with and without Castor.
    const other = before.find((each) => (each.own || own) && doMeet(each, cookie))
    if (other !== undefined) warn(placeOf(group), sharedName(cookieName, cookie, other))
    if (before.length < MAX_COMPARED) before.push(cookie)
    byName.set(cookieName, before)
  }
}

function sharedName(cookieName: string, cookie: NamedCookie, other: NamedCookie): string {
  const group = `target group "${text(other.group.fields.name) ?? ''}"`
  const whose = cookie.own && !other.own ? `the application of ${group} sets` : `${group} has`
  return `${whose} a cookie "${cookieName}" too: a browser keeps one of a name for all ports of a host, so clients lose their target; give each its own name`
}

function placeOf({ path, fields }: Entry): Path {
  const { stickiness } = fields
  const isNamed = isFields(stickiness) && stickiness.name !== undefined
  return isNamed ? [...path, 'stickiness', 'name'] : [...path, 'stickiness']
}

/** Whether one browser may get both cookies for one host. */
function doMeet(a: NamedCookie, b: NamedCookie): boolean {
  if (a.domain !== '' && b.domain !== '') return isWithin(a.domain, b.domain) || isWithin(b.domain, a.domain)
  return areMet(a.addresses, b.addresses)
}

const areMet = (ones: readonly ListenAddress[], others: readonly ListenAddress[]): boolean =>
  ones.some((one) => others.some((other) => maySameHost(one.address, other.address)))

const doListenersMeet = (a: Entry, b: Entry): boolean => areMet(addressesOf(a), addressesOf(b))

const isWithin = (domain: string, other: string): boolean => domain === other || domain.endsWith(`.${other}`)

/** A host name may lead to both: to the same address, to any, or to one of each family. */
function maySameHost(a: string, b: string): boolean {
  if (a === b || isWildcard(a) || isWildcard(b)) return true
  return isIP(a) !== isIP(b) || (isLoopback(a) && isLoopback(b))
}

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::'

/** By its own group, and by those that its rules name. */
function listenersByGroup(root: Fields): ListenersByGroup {
  const found = new Map<string, Entry[]>()
  for (const listener of entries(root, 'listeners')) {
    const ofRules = rulesOf(listener, root).flatMap((rule) => answeringGroupsOf(rule).map(({ name }) => name))
    for (const group of new Set([text(listener.fields.targetGroup), ...ofRules])) {
      if (group === undefined) continue
      const before = found.get(group)
      if (before === undefined) found.set(group, [listener])
      else before.push(listener)
    }
  }
  return found
}

function addressesOf({ fields }: Entry): ListenAddress[] {
  const written: readonly unknown[] = Array.isArray(fields.listen) ? fields.listen : [fields.listen]
  return written.flatMap((item) => {
    const parsed = typeof item === 'string' ? parseListenAddress(item) : undefined
    return parsed?.ok ? [parsed.value] : []
  })
}

function ownCookie({ fields }: Entry): Fields | undefined {
  const { stickiness } = fields
  return isFields(stickiness) && stickiness.type === 'cookie' ? stickiness : undefined
}
