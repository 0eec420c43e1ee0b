import type { ListenerConfig } from '../../core/config.js'
import type { HeaderEditsConfig, RuleConfig } from '../../core/config-rules.js'
import type { ExplainedEdits, ExplainedHeaders } from '../../core/explanation.js'
import type { RoutedRequest } from '../../route/conditions.js'
import { type HeaderEdits, nameTarget, TARGET_LATER } from '../../route/header-edits.js'
import { RequestPath } from '../../route/request-path.js'
import { ByteText, type TemplateFacts } from '../../route/template.js'
import { capturesOf } from '../h1/template-facts.js'
import { ListenerSettings } from '../listener-settings.js'
import { RuleEdits } from '../rule-edits.js'

/** What only the thread that serves a client knows of it. */
export interface ExplainedClient {
  /** Of the socket that it dialled; 0 for the listener's. */
  readonly port: number
  readonly requestId: Uint8Array
  readonly tlsVersion: string
  readonly tlsServerName: string
}

/** Of a request that nobody has sent. */
export const NOBODY_KNOWN: ExplainedClient = {
  port: 0,
  requestId: Buffer.from('REQUEST-ID'),
  tlsVersion: '',
  tlsServerName: '',
}

export function explainedFacts(
  { name, protocol, listen }: ListenerConfig,
  rule: RuleConfig,
  edits: RuleEdits | undefined,
  { parser, buffer, start, source }: RoutedRequest,
  { port, requestId, tlsVersion, tlsServerName }: ExplainedClient,
): TemplateFacts {
  const { action } = rule
  const to = action.type === 'forward' ? action.to.filter(({ weight }) => weight > 0) : []
  return {
    ...{ parser, buffer, start, client: source, port: port || (listen[0]?.port ?? 0), scheme: protocol },
    ...{ listener: name, rule: rule.name, requestId, target: TARGET_LATER, tlsVersion, tlsServerName },
    targetGroup: to.length === 1 ? to[0]!.targetGroup : to.length > 1 ? '${target_group}' : '',
    captures: capturesOf(edits, parser, buffer, start),
  }
}

/** What the rule changes of the request and of its answer, written by what the threads write it with. */
export function explainEdits(
  rule: RuleConfig,
  listener: ListenerConfig,
  request: RoutedRequest,
  client: ExplainedClient = NOBODY_KNOWN,
): ExplainedEdits | null {
  const edits = RuleEdits.of(rule, new ListenerSettings(listener))
  if (edits === undefined) return null
  const { requestHeaders, responseHeaders } = rule
  const facts = explainedFacts(listener, rule, edits, request, client)
  let refused = 0
  let rewritten: ExplainedEdits['rewritten'] = null
  if (edits.rewrite !== undefined) {
    const path = new RequestPath()
    path.take(request.parser, request.buffer, request.start)
    refused = edits.rewrite.write(facts, path)
    const { out, targetEnd, hostEnd } = edits.rewrite
    const text = (from: number, to: number): string | null =>
      to > from ? Buffer.from(out.bytes.subarray(from, to)).toString('latin1') : null
    if (refused === 0) rewritten = { target: text(0, targetEnd), host: text(targetEnd, hostEnd) }
  }
  const ofRequest = headers(edits.request, requestHeaders, facts)
  const ofResponse = headers(edits.response, responseHeaders, facts)
  if (ofRequest === 'too many' || ofResponse === 'too many') {
    return { refused: refused || 431, rewritten, request: null, response: null }
  }
  return { refused: refused || null, rewritten, request: ofRequest, response: ofResponse }
}

function headers(
  edits: HeaderEdits | undefined,
  config: HeaderEditsConfig | undefined,
  facts: TemplateFacts,
): ExplainedHeaders | null | 'too many' {
  if (edits === undefined || config === undefined) return null
  const lines = new ByteText()
  if (!edits.write(lines, facts)) return 'too many'
  const named = new ByteText()
  nameTarget(named, lines, '${target}')
  const written = Buffer.from(named.bytes.subarray(0, named.length)).toString('latin1').split('\r\n')
  const names = [...config.set.map(({ name }) => name), ...config.remove]
  const removed = names.filter((name) => edits.removed.has(Buffer.from(name, 'latin1'), 0, name.length))
  return { removed: [...new Set(removed)], written: written.filter((line) => line !== '') }
}
