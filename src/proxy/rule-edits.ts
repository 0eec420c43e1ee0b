import { RE2JS } from 're2js'
import type { RuleConfig } from '../core/config-rules.js'
import { parseTemplate, variablesOf } from '../core/template.js'
import { HeaderEdits } from '../route/header-edits.js'
import { Rewrite } from '../route/rewrite.js'
import type { ListenerSettings } from './listener-settings.js'

/** What a rule changes of requests on their way to targets, and of answers on their way back. */
export class RuleEdits {
  readonly request: HeaderEdits | undefined
  readonly response: HeaderEdits | undefined
  readonly rewrite: Rewrite | undefined
  /** The prefix that targets get in place of the rule's; undefined where answers are not rewritten back. */
  readonly backPrefix: string | undefined
  /** Of a path in normal form; undefined where nothing refers to what it captures. */
  readonly captured: RE2JS | undefined

  private constructor(rule: RuleConfig, settings: ListenerSettings) {
    const { requestHeaders, responseHeaders, rewrite } = rule
    // What the listener says of itself goes before what a rule says.
    const kept = settings.hstsLine === undefined ? [] : [HSTS]
    this.request = requestHeaders === undefined ? undefined : new HeaderEdits(requestHeaders)
    this.response = responseHeaders === undefined ? undefined : new HeaderEdits(responseHeaders, kept)
    this.rewrite = rewrite === undefined ? undefined : new Rewrite(rewrite, rule.match.paths)
    this.backPrefix = rewrite?.responses === true ? backPrefixOf(rewrite.path) : undefined
    this.captured = usesCaptures(rule) ? RE2JS.compile(rule.match.pathRegex) : undefined
  }

  /** Undefined where the rule changes nothing, and nothing refers to what it captures. */
  static of(rule: RuleConfig, settings: ListenerSettings): RuleEdits | undefined {
    const { requestHeaders, responseHeaders, rewrite } = rule
    const changes = requestHeaders !== undefined || responseHeaders !== undefined || rewrite !== undefined
    return changes || usesCaptures(rule) ? new RuleEdits(rule, settings) : undefined
  }
}

const HSTS = 'strict-transport-security'

/** Empty where it cannot be told of a path what it was. */
function backPrefixOf(path: string | undefined): string {
  return path?.endsWith('/*') && !path.includes('${') ? path.slice(0, -1) : ''
}

function usesCaptures({ match, action, requestHeaders, responseHeaders, rewrite }: RuleConfig): boolean {
  if (match.pathRegex === '') return false
  const ofHeaders = [requestHeaders, responseHeaders].flatMap((edits) =>
    edits === undefined ? [] : [...edits.set, ...edits.add].map(({ value }) => value),
  )
  const sentTo = action.type === 'redirect' ? action.path : ''
  const values = [...ofHeaders, sentTo, rewrite?.path ?? '', rewrite?.host ?? '', rewrite?.query ?? '']
  return values.some((value) => variablesOf(parseTemplate(value)).some(({ of }) => of === 'capture'))
}
