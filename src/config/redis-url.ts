import type { SingleRedisConfig } from '../core/config.js'
import { parseTargetAddress } from './addresses.js'
import type { Parsed } from './units.js'

const DEFAULT_PORT = 6379
const MAX_DATABASE = 65_535
const ENCODE =
  'in a URL write % as %25, / as %2F, # as %23, ? as %3F and @ as %40, or use a map with address, username and password'

/**
 * `redis://user:password@host:port/database`, and `rediss://` for TLS. Complaints name nothing of what is written, since
 * there may be a password in it.
 */
export function parseRedisUrl(text: string): Parsed<SingleRedisConfig> {
  const fail = (problem: string): Parsed<never> => ({ ok: false, problem })
  const found = /^(rediss?):\/\/([^/?#]*)(.*)$/s.exec(text)
  if (found === null) return fail('must be a URL like redis://127.0.0.1:6379, or rediss:// for TLS')
  const [, scheme, authority = '', rest = ''] = found
  // The first of them ends the part with the password, which the rest of it then is not in.
  if (rest.includes('@')) return fail(`has a password with a / ? or # in it; ${ENCODE}`)
  const database = /^\/?(\d*)$/.exec(rest)?.[1]
  if (database === undefined || Number(database) > MAX_DATABASE) {
    return fail('has more behind the port than a / and the number of a database')
  }
  const at = authority.lastIndexOf('@')
  const login = at < 0 ? '' : authority.slice(0, at)
  const colon = login.indexOf(':')
  const username = decoded(colon < 0 ? login : login.slice(0, colon))
  const password = decoded(colon < 0 ? '' : login.slice(colon + 1))
  if (username === undefined || password === undefined) return fail(`has a user or password with a % in it; ${ENCODE}`)
  const place = authority.slice(at + 1)
  const address = parseTargetAddress(/:\d+$/.test(place) ? place : `${place}:${DEFAULT_PORT}`)
  if (!address.ok) return fail('has no host, or a port that is none; write it like redis://127.0.0.1:6379')
  const { host, port } = address.value
  const tls = scheme === 'rediss'
  return {
    ok: true,
    value: { type: 'single', address: { host, port }, database: Number(database), username, password, tls, ca: '' },
  }
}

/** Undefined where a % is not one of an escape, or an escape is none of a text. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
