import type { Test } from 'tap'
import { type ChildCastor, startChild } from './child-castor.js'
import { ask as askTls, authorityFor, handshake, secured } from './tls.js'
import { askUnix } from './upgrade.js'

/** What a process knows that the next one is to know as well. */
interface WithState {
  readonly castor: ChildCastor
  /** The target that this client is bound to. */
  readonly stuckTo: string
  /** A TLS session of listener `secure`. */
  readonly session: Buffer
}

/**
 * A balancer with a session, a TLS ticket, and operators' changes of group `out`: the first target drains, the second weighs
 * 40, the third was added with 30. `sticky` are the targets of the group that binds clients.
 */
export async function startWithState(
  t: Test,
  admin: string,
  [one, two, three]: readonly [string, string, string],
  sticky: readonly string[],
): Promise<WithState> {
  const authority = authorityFor(t)
  const castor = await startChild(t, {
    workers: 2,
    admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
    listeners: [
      { name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' },
      {
        name: 'secure',
        listen: '127.0.0.1:0',
        targetGroup: 'sticky',
        ...secured([authority.issue('castor', { names: ['shop.example'] })]),
      },
    ],
    targetGroups: [
      { name: 'out', protocol: 'http', targets: [{ address: one }, { address: two, weight: 20 }] },
      {
        name: 'sticky',
        protocol: 'http',
        targets: sticky.map((address) => ({ address })),
        stickiness: { type: 'source-ip', timeout: '300s' },
      },
    ],
  })
  const group = '/api/v1/target-groups/out/targets'
  await askUnix(admin, 'POST', group, { address: three, weight: 30 })
  await askUnix(admin, 'PATCH', `${group}/${one}`, { state: 'draining' })
  await askUnix(admin, 'PATCH', `${group}/${two}`, { weight: 40 })
  const stuckTo = (await askTls(castor.port('secure'))).text
  const first = await handshake(castor.port('secure'), { maxVersion: 'TLSv1.2' })
  const session = first.getSession()!
  first.destroy()
  return { castor, stuckTo, session }
}
