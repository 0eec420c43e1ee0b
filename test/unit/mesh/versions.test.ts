import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { MeshEntry } from '../../../src/core/mesh.js'
import { packageRoot } from '../../meta/sources.js'
import { ReplicaRig, type TestHost } from './replica-rig.js'

/** Recorded: what the first version published, and what a later one may. Sealed with the secret of the rig's hosts. */
const FRAMES = JSON.parse(readFileSync(join(packageRoot(), 'test/fixtures/mesh/frames.json'), 'utf8')) as Record<
  'last' | 'next',
  { beat: string; news: string }
>

function shown(version: 'last' | 'next'): { host: TestHost; entries: (kind: MeshEntry['kind']) => MeshEntry[] } {
  const rig = new ReplicaRig()
  const host = rig.host('here')
  rig.pass(100)
  host.replica.onFrame(Buffer.from(FRAMES[version].beat, 'base64'))
  host.replica.onFrame(Buffer.from(FRAMES[version].news, 'base64'))
  const entries = (kind: MeshEntry['kind']): MeshEntry[] =>
    [...host.state.entries.values()].filter((entry) => entry.kind === kind)
  return { host, entries }
}

t.test('frames of the first version are taken whole', async (t) => {
  const { host, entries } = shown('last')
  t.match(host.replica.peers.list, [{ node: 'old', version: '0.1.0', features: [], state: 'alive' }])
  t.equal(host.targetOf(1), 'one')
  t.equal(host.targetOf(5), '', 'forgotten')
  t.match(entries('operator'), [{ state: 'draining', weight: -1, target: 'one' }])
  t.match(entries('tickets'), [{ keys: { length: 160 } }])
  t.match(host.health, [{ state: 'unhealthy', reason: 'CONNECT_FAILED' }])
  const { unreadable, forged, invalid, newer } = host.replica.counts
  t.same([unreadable, forged, invalid, newer], [0, 0, 0, 0])
})

t.test('of a later version’s frames all is taken but what this one does not know', async (t) => {
  const { host, entries } = shown('next')
  t.match(host.replica.peers.list, [{ node: 'new', version: '9.0.0', features: ['skips-rows', 'quotas'] }])
  t.equal(host.targetOf(1), 'one')
  t.equal(host.targetOf(9), 'one', 'the sessions beside a state that is not known')
  t.match(entries('operator'), [{ state: 'maintenance', target: 'two' }])
  t.match(entries('tickets'), [{ keys: { length: 320 } }])
  // The reason of the first was not known when the frame was recorded, and has come to be.
  t.match(host.health, [
    { target: 'one', state: 'unhealthy', reason: 'GRPC_STATUS_MISMATCH' },
    { target: 'two', state: 'unhealthy', reason: 'CONNECT_FAILED' },
  ])
  const { unreadable, forged, invalid, newer } = host.replica.counts
  t.same([unreadable, forged, invalid, newer], [0, 0, 0, 2])
  t.ok(host.events.includes('new operator newer'), 'and said')
})
