// Hot path of rules that redirect.
import { SLASH } from '../http/characters.js'
import { type ByteText, portOf, type TemplateFacts } from '../route/template.js'
import type { RedirectAnswer } from './own-answer.js'

const STAR = 0x2a
const HTTP_PORT = 80
const HTTPS_PORT = 443

/** Where the rule sends the client, as an absolute URL. */
export function putLocation(
  out: ByteText,
  { scheme, host, port, keepsPort, path, query }: RedirectAnswer,
  facts: TemplateFacts,
): void {
  const to = scheme ?? facts.scheme
  out.putText(to)
  out.putText('://')
  host.write(out, facts)
  if (port !== undefined) {
    out.putText(':')
    port.write(out, facts)
  } else if (keepsPort) {
    const own = portOf(facts)
    if (own > 0 && own !== (to === 'https' ? HTTPS_PORT : HTTP_PORT)) out.putText(`:${own}`)
  }
  const before = out.length
  path.write(out, facts)
  // `OPTIONS *` has no path to keep.
  if (out.bytes[before] === STAR) out.bytes[before] = SLASH
  const queryAt = out.length
  out.putText('?')
  query.write(out, facts)
  if (out.length === queryAt + 1) out.length = queryAt
}
