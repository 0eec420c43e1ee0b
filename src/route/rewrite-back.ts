// Per answer of rules with `rewrite.responses`. Strings: what is rewritten here has been made of strings by the target.

/** How a request was rewritten. Hosts are as Host says them, with their port. */
export interface Rewritten {
  /** Of the path, as the client sent it and as the target got it, each with a slash at its end; both empty where it stayed. */
  readonly clientPrefix: string
  readonly targetPrefix: string
  readonly clientHost: string
  readonly targetHost: string
  readonly scheme: string
}

const HOST_NAME = /^[a-z0-9._-]+$/
const ADDRESS = /^[0-9.]*$/
/** What clients read as the beginning of an authority; tabs are nothing to browsers, and a backslash is a slash. */
const LIKE_AUTHORITY = /^\/\t*[/\\]/
const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/is

/** A Location of the target as it is for the client. What leads elsewhere stays as it is. */
export function locationBack(value: string, rewritten: Rewritten): string {
  const { clientHost, targetHost, scheme } = rewritten
  const absolute = ABSOLUTE.exec(value)
  if (absolute === null) return value.startsWith('/') ? onOneHost(value, pathBack(value, rewritten)) : value
  const [, saidScheme = scheme, authority = '', rest = ''] = absolute
  if (clientHost === '' || nameOf(authority, saidScheme) !== nameOf(targetHost, saidScheme)) return value
  const path = rest.startsWith('/') ? pathBack(rest, rewritten) : rest
  const isRenamed = targetHost.toLowerCase() !== clientHost.toLowerCase()
  return isRenamed ? `${scheme}://${clientHost}${path}` : value.slice(0, value.length - rest.length) + path
}

/** A Set-Cookie of the target as it is for the client. */
export function cookieBack(value: string, rewritten: Rewritten): string {
  const [pair = '', ...attributes] = value.split(';')
  const kept = attributes.flatMap((attribute) => {
    const equals = attribute.indexOf('=')
    if (equals < 0) return [attribute]
    const name = attribute.slice(0, equals).trim()
    const said = unquoted(attribute.slice(equals + 1).trim())
    switch (name.toLowerCase()) {
      case 'path':
        return said.startsWith('/') ? [` ${name}=${pathBack(said, rewritten)}`] : [attribute]
      case 'domain':
        return domainBack(attribute, name, said, rewritten)
      default:
        return [attribute]
    }
  })
  return [pair, ...kept].join(';')
}

/** By hand: an expression would try each run of white space again and again, and a target may send long ones. */
function unquoted(value: string): string {
  const from = value.startsWith('"') ? 1 : 0
  const to = value.length > from && value.endsWith('"') ? value.length - 1 : value.length
  return value.slice(from, to)
}

/**
 * An address has no domain: the cookie is then its host's alone, as it would be without the attribute. The same goes for
 * a host with characters that no name has: a ";" would begin another attribute.
 */
function domainBack(attribute: string, name: string, said: string, { clientHost, targetHost }: Rewritten): string[] {
  const bare = (host: string): string => host.replace(/:\d*$/, '').toLowerCase()
  const target = bare(targetHost)
  const client = bare(clientHost)
  if (said.replace(/^\./, '').toLowerCase() !== target || target === client) return [attribute]
  return HOST_NAME.test(client) && !ADDRESS.test(client) ? [` ${name}=${client}`] : []
}

function pathBack(value: string, { clientPrefix, targetPrefix }: Rewritten): string {
  if (targetPrefix === '') return value
  const end = /[?#]/.exec(value)?.index ?? value.length
  const path = value.slice(0, end)
  if (path.startsWith(targetPrefix)) return clientPrefix + value.slice(targetPrefix.length)
  // `/app` of `/app/`: the prefix itself.
  return `${path}/` === targetPrefix ? (clientPrefix.slice(0, -1) || '/') + value.slice(end) : value
}

/** A path stays one: `/v2//a.example`, rewritten back to `//a.example`, would lead to another host (RFC 3986 4.2). */
function onOneHost(value: string, path: string): string {
  return path !== value && LIKE_AUTHORITY.test(path) ? `/.${path}` : path
}

/** Without the port where it is the scheme's own. */
function nameOf(host: string, scheme: string): string {
  const own = scheme.toLowerCase() === 'https' ? ':443' : ':80'
  const name = host.toLowerCase()
  return name.endsWith(own) ? name.slice(0, -own.length) : name.replace(/:$/, '')
}
