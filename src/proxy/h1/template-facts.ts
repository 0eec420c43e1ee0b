// Hot path of rules with templates: one object that is filled for each request.
import type { RequestParser } from '../../http/request-parser.js'
import { RequestPath } from '../../route/request-path.js'
import type { TemplateFacts } from '../../route/template.js'
import type { RequestInfo } from '../request-info.js'
import type { RuleEdits } from '../rule-edits.js'
import type { Requester } from './requester.js'

const NO_CAPTURES: readonly string[] = []
const path = new RequestPath()
let facts: TemplateFacts | undefined

/** What templates may tell of a request whose head begins at `start`. Read before the next call. */
export function factsOf(
  session: Pick<Requester, 'route' | 'clientAddress'>,
  info: RequestInfo,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
  target: string,
): TemplateFacts {
  const { route, clientAddress } = session
  const { tls } = clientAddress
  const { config } = route.settings
  facts ??= emptyFacts(parser, clientAddress.source)
  facts.parser = parser
  facts.buffer = buffer
  facts.start = start
  facts.client = clientAddress.source
  facts.port = clientAddress.vport
  facts.scheme = config.protocol
  facts.requestId = info.requestIdBytes
  facts.listener = config.name
  facts.rule = route.rule?.name ?? ''
  facts.targetGroup = route.group.config.name
  facts.target = target
  facts.tlsVersion = tls?.version ?? ''
  facts.tlsServerName = tls?.serverName ?? ''
  facts.captures = capturesOf(route.edits, parser, buffer, start)
  return facts
}

function emptyFacts(parser: RequestParser, client: TemplateFacts['client']): TemplateFacts {
  return {
    parser,
    buffer: new Uint8Array(0),
    start: 0,
    client,
    port: 0,
    scheme: '',
    requestId: new Uint8Array(0),
    listener: '',
    rule: '',
    targetGroup: '',
    target: '',
    tlsVersion: '',
    tlsServerName: '',
    captures: NO_CAPTURES,
  }
}

/** What the rule's expression finds in the path, by group. */
export function capturesOf(
  edits: RuleEdits | undefined,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
): readonly string[] {
  if (edits?.captured === undefined) return NO_CAPTURES
  path.take(parser, buffer, start)
  const found = edits.captured.matcher(path.text)
  if (!found.find()) return NO_CAPTURES
  return Array.from({ length: found.groupCount() + 1 }, (_, group) => found.group(group) ?? '')
}
