import type { Explanation } from '../../core/explanation.js'
import { latin1 } from '../../http/bytes.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { RoutedRequest } from '../../route/conditions.js'
import type { Http1Context } from '../h1/h1-context.js'
import type { Requester } from '../h1/requester.js'
import type { RequestInfo } from '../request-info.js'
import type { TargetGroup } from '../target-group.js'
import { explainGroup } from './explain-group.js'
import { type ExplainedRequest, explainRequest } from './explain-rules.js'

/** Proxies in front, and clients, take no head of any length. */
const MAX_VALUE_BYTES = 4 * 1024

const NAME = 'x-castor-explain: '

/** What an answer says of how its request was routed: the part that is known before a target is. */
export interface AnswerExplanation {
  readonly explained: ExplainedRequest
  /** Which of its groups it went to; null where Castor answers. */
  readonly group: string | null
}

/** Undefined where the client may not be told. To be asked only where the request has the field, before its head is changed. */
export function explainAnswer(
  context: Pick<Http1Context, 'protection'>,
  session: Pick<Requester, 'listener' | 'route' | 'clientAddress'>,
  info: RequestInfo,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
): AnswerExplanation | undefined {
  const { listener, route, clientAddress } = session
  const { settings, answer, group } = route
  const { source, vport, tls } = clientAddress
  if (!settings.explained.has(source)) return undefined
  const { routes } = listener
  // A plug-in may have taken its time, and the next configuration be in force.
  const isOfRoute = routes.fallback.settings === settings
  const request: RoutedRequest = { parser, buffer, start, source }
  const explained = explainRequest(settings.config, request, {
    ...{
      protection: context.protection,
      secret: group.set.services.sticky.secret,
      matcher: isOfRoute ? routes.matcher : undefined,
      plugins: routes.plugins?.set.plugins.map(({ config }) => config) ?? [],
    },
    client: {
      port: vport,
      requestId: info.requestIdBytes,
      tlsVersion: tls?.version ?? '',
      tlsServerName: tls?.serverName ?? '',
    },
    group: (name, asked, weight) => ({ ...groupNamed(name, [group, ...routes.groups], asked), weight }),
  })
  return { explained, group: answer === undefined ? group.config.name : null }
}

/** Of a group that the configuration has no more. */
const GONE = {
  ...{ algorithm: '', stickiness: '', maxConnectionsPerTarget: null, queueSize: 0, retries: 0 },
  ...{ connectTimeoutMs: 0, responseTimeoutMs: 0, targets: [], picked: [], why: 'the group is gone' },
}

function groupNamed(name: string, groups: Iterable<TargetGroup>, request: RoutedRequest) {
  for (const { config, groupSlot, set } of groups) {
    if (config.name !== name) continue
    const { columns, table, clock, sticky } = set.services
    return explainGroup(config, groupSlot, set.all, request, { columns, table, clock, sticky })
  }
  return { ...GONE, name }
}

/** The line of the answer's head, with its CRLF. `target` is the one that has answered, or was tried last. */
export function explanationLine({ explained, group }: AnswerExplanation, target: string | undefined): Uint8Array {
  const taken = { group, target: target ?? null }
  const forms = [explained, brief(explained), { ...brief(explained), considered: [], edits: null }]
  for (const form of forms) {
    const value = ascii(JSON.stringify({ ...taken, ...form, ...(form === explained ? {} : { shortened: true }) }))
    if (value.length <= MAX_VALUE_BYTES) return latin1(`${NAME}${value}\r\n`)
  }
  return latin1(`${NAME}${ascii(JSON.stringify({ shortened: true }))}\r\n`)
}

const MOST_RULES = 5
const MOST_TARGETS = 5

/** Of long lists the beginning. */
function brief(explained: ExplainedRequest): Omit<Explanation, 'version'> {
  return {
    ...explained,
    considered: explained.considered.slice(0, MOST_RULES).map(({ rules, more, ...where }) => ({
      ...where,
      rules: rules.slice(0, MOST_RULES),
      more: more + Math.max(0, rules.length - MOST_RULES),
    })),
    groups: explained.groups.slice(0, MOST_RULES).map((each) => ({
      ...each,
      targets: each.targets.slice(0, MOST_TARGETS),
      picked: each.picked.slice(0, MOST_TARGETS),
    })),
  }
}

/** Fit for a field of a head: no control characters, which JSON escapes, and nothing beyond ASCII. */
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
