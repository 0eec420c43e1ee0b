import { z } from 'zod'
import { ANY_PROTOCOL, isHttpProtocol, UPGRADE_PROTOCOL, WEBSOCKET } from '../core/upgrade-protocols.js'
import { mustBe, show } from './fields.js'
import type { Path } from './problems.js'
import { entries, isFields } from './tree.js'

/** What the connections of an http or https listener may be switched to. */

const protocol = () =>
  z.string().superRefine((written, context) => {
    const message = !UPGRADE_PROTOCOL.test(written)
      ? `${show(written)} is no protocol; write its name as in Upgrade, like websocket or SPDY/3.1`
      : isHttpProtocol(written)
        ? `${written} is never tunnelled: its requests would pass everything that is checked here`
        : undefined
    if (message !== undefined) context.addIssue({ code: 'custom', message, input: written })
  })

export const upgrades = z
  .union(
    [z.literal(ANY_PROTOCOL).transform(() => [ANY_PROTOCOL]), z.array(protocol())],
    mustBe('a list of protocols, like [websocket, tcp], or any'),
  )
  .prefault([WEBSOCKET])
  .describe(
    'Protocols that an http or https listener tunnels once a target has switched to one by 101, as clients name them in Upgrade: a name takes every version, name/version that one. A list, default [websocket]; [] none; any all of them, except HTTP. To a protocol that is not listed, the request goes on without Upgrade. More lets clients and targets talk past what is checked here.',
  )

/** What a list is for is lost where it has everything. */
export function warnOfAnyUpgrade(tree: unknown, warn: (path: Path, message: string) => void): void {
  for (const { path, fields } of entries(isFields(tree) ? tree : {}, 'listeners')) {
    const { upgrades } = fields
    if (upgrades !== ANY_PROTOCOL && !(Array.isArray(upgrades) && upgrades.includes(ANY_PROTOCOL))) continue
    const message =
      'lets clients talk to targets in every protocol, past all that is checked of requests; better list those that are needed'
    warn([...path, 'upgrades'], message)
  }
}
