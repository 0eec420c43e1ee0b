import type { HeaderValue, RedirectAction, RespondAction } from '../core/config-rules.js'
import type { RedirectToHttpsConfig } from '../core/config-tls.js'
import type { ReasonCode } from '../core/reasons.js'
import { latin1 } from '../http/bytes.js'
import type { NameSet } from '../http/name-set.js'
import { Template } from '../route/template.js'

/** What a route answers with by itself, no target being asked. */
export type OwnAnswer =
  /** `redirectToHttps`; status 0 = 301 or 308, by the method. */
  | ({ readonly type: 'https' } & RedirectToHttpsConfig)
  | RedirectAnswer
  | RespondAnswer
  /** To the same path with a slash at its end. */
  | { readonly type: 'slash' }
  /** No rule matches, and there is no group for the rest. */
  | { readonly type: 'none' }
  /** A plug-in has failed, or the thread ends while one is waited for. */
  | { readonly type: 'failure'; readonly status: number; readonly reason: ReasonCode }

export interface RedirectAnswer {
  readonly type: 'redirect'
  readonly status: number
  /** Undefined for the scheme that the request came by. */
  readonly scheme: 'http' | 'https' | undefined
  readonly host: Template
  /** Undefined for the scheme's own. */
  readonly port: Template | undefined
  /** The port is the one that the request names. */
  readonly keepsPort: boolean
  readonly path: Template
  readonly query: Template
}

export interface RespondAnswer {
  readonly type: 'respond'
  readonly status: number
  /** Ready to copy, each with its CRLF. */
  readonly lines: Uint8Array
  readonly body: Uint8Array
}

/** `removed` are the fields that the rule's edits take out of what it says. */
export function ownAnswerOf(
  action: RedirectAction | RespondAction,
  removed: NameSet | undefined,
): RedirectAnswer | RespondAnswer {
  if (action.type === 'respond') {
    const { status, headers, body } = action
    const isKept = ({ name }: HeaderValue): boolean => !removed?.has(latin1(name), 0, name.length)
    const lines = latin1(
      headers
        .filter(isKept)
        .map(({ name, value }) => `${name}: ${value}\r\n`)
        .join(''),
    )
    return { type: 'respond', status, lines, body }
  }
  const { protocol, port } = action
  const keepsPort = port === PORT
  return {
    type: 'redirect',
    status: action.status,
    scheme: protocol === 'http' || protocol === 'https' ? protocol : undefined,
    host: new Template(action.host),
    port: port === '' || keepsPort ? undefined : new Template(port),
    keepsPort,
    path: new Template(action.path),
    query: new Template(action.query),
  }
}

const PORT = '${port}'
