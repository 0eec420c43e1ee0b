import { Untranslatable } from './findings.js'
import type { Action } from './order.js'

/**
 * A redirect's target, whose variables were brought to `${scheme}`, `${host}` (without port), `${hostport}`, `${path}`,
 * `${query}` and `${uri}` (path and query), as the parts that Castor writes it by. Other text is literal.
 * @throws Untranslatable for what cannot be told from these parts.
 */
export function redirectTo(url: string, status: number): Action {
  if (![301, 302, 303, 307, 308].includes(status)) {
    throw new Untranslatable(`Castor redirects by 301, 302, 303, 307 and 308, not by ${status}`)
  }
  const parts = URL_PARTS.exec(url)
  if (parts === null) throw new Untranslatable('it is no URL that Castor can put together')
  const [, scheme, written, port, rest = ''] = parts
  const host = written === '${hostport}' ? '${host}' : written
  const whole = rest.endsWith('${uri}') ? `${rest.slice(0, -6)}\${path}?\${query}` : rest
  const end = whole.indexOf('?')
  const before = end < 0 ? whole : whole.slice(0, end)
  const path = before === '' ? '/' : before
  const query = end < 0 ? '' : whole.slice(end + 1)
  if (/\$\{uri\}|\$\{scheme\}|\$\{hostport\}/.test(path + query)) {
    throw new Untranslatable('it has a variable where Castor has none')
  }
  if (!/^(\/|\$\{path\})/.test(path)) throw new Untranslatable('its path does not begin with a slash')
  if (!/^[!$&-;=?@-Z_a-z~%[\]^|{}]*$/.test(path + query)) {
    throw new Untranslatable('it has characters that no URL can have')
  }
  const ownPort = written === '${hostport}' ? '${port}' : port === undefined ? undefined : Number(port)
  return {
    redirect: {
      status,
      ...(scheme === undefined || scheme === '${scheme}' ? {} : { protocol: scheme }),
      ...(host === undefined || host === '${host}' ? {} : { host: host.toLowerCase() }),
      // A host that is named has the scheme's own port, where the default would be the request's.
      ...(ownPort !== undefined ? { port: ownPort } : scheme === '${scheme}' ? { protocol: '${scheme}' } : {}),
      ...(path === '${path}' ? {} : { path }),
      ...(query === '${query}' ? {} : { query }),
    },
  }
}

const URL_PARTS =
  /^(?:(https?|\$\{scheme\}):\/\/(\$\{host\}|\$\{hostport\}|[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?)?([/$?].*)?$/
