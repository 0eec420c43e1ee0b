import { RE2JS } from 're2js'
import type { RuleConfig } from '../core/config-rules.js'
import { parseTemplate, variablesOf } from '../core/template.js'
import { HeaderEdits } from '../route/header-edits.js'
import type { ListenerSettings } from './listener-settings.js'

/** What a rule changes of requests on their way to targets, and of answers on their way back. */
export class RuleEdits {
  readonly request: HeaderEdits | undefined
  readonly response: HeaderEdits | undefined
  /** Of a path in normal form; undefined where nothing refers to what it captures. */
  readonly captured: RE2JS | undefined

  private constructor(rule: RuleConfig, settings: ListenerSettings) {
    const { requestHeaders, responseHeaders } = rule
    // What the listener says of itself goes before what a rule says.
    const kept = settings.hstsLine === undefined ? [] : [HSTS]
    this.request = requestHeaders === undefined ? undefined : new HeaderEdits(requestHeaders)
    this.response = responseHeaders === undefined ? undefined : new HeaderEdits(responseHeaders, kept)
    this.captured = usesCaptures(rule) ? RE2JS.compile(rule.match.pathRegex) : undefined
  }

  /** Undefined where the rule changes nothing. */
  static of(rule: RuleConfig, settings: ListenerSettings): RuleEdits | undefined {
    const { requestHeaders, responseHeaders } = rule
    return requestHeaders === undefined && responseHeaders === undefined ? undefined : new RuleEdits(rule, settings)
  }
}

const HSTS = 'strict-transport-security'

function usesCaptures({ match, requestHeaders, responseHeaders }: RuleConfig): boolean {
  if (match.pathRegex === '') return false
  const values = [requestHeaders, responseHeaders].flatMap((edits) =>
    edits === undefined ? [] : [...edits.set, ...edits.add].map(({ value }) => value),
  )
  return values.some((value) => variablesOf(parseTemplate(value)).some(({ of }) => of === 'capture'))
}
