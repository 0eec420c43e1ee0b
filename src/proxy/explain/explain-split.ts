import type { ListenerConfig } from '../../core/config.js'
import type { ForwardAction, RuleConfig } from '../../core/config-rules.js'
import type { ExplainedSplit } from '../../core/explanation.js'
import type { RoutedRequest } from '../../route/conditions.js'
import { SplitCookie } from '../../sticky/split-cookie.js'

/** Which of the rule's groups the client's cookie names. Without the secret nobody can say what a cookie means. */
export function explainSplit(
  { name: listener }: ListenerConfig,
  { name: rule }: RuleConfig,
  { to, stickySplitMs: maxAgeMs }: ForwardAction,
  { parser, buffer, start }: RoutedRequest,
  secret: string | undefined,
): ExplainedSplit | null {
  if (maxAgeMs === 0) return null
  const names = to.filter(({ weight }) => weight > 0).map(({ targetGroup }) => targetGroup)
  const split = new SplitCookie({ secret: secret ?? '', listener, rule, maxAgeMs }, names)
  const side = secret === undefined ? -1 : split.sideOf(parser, buffer, start)
  return { cookie: split.name, group: names[side] ?? null }
}
