import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cookieValue } from '../../src/sticky/inserted-cookie.js'
import { startTestCastor, type Test } from './support/castor.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'

async function cookieWith(t: Test, target: RawTarget, more: object): Promise<string> {
  const castor = await startTestCastor(t, [target.address], { group: { stickiness: { type: 'cookie' } }, more })
  const answer = await request(castor.port, get('/'))
  return /=([0-9a-f]+);/.exec(answer.header('set-cookie') ?? '')?.[1] ?? ''
}

t.test('without a cluster a sticky cookie is keyed by a secret of this host alone, kept over a restart', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const here = await cookieWith(t, target, { stateDir: join(folder, 'a') })
  t.match(here, /^[0-9a-f]{32}$/)
  t.equal(await cookieWith(t, target, { stateDir: join(folder, 'a') }), here, 'after a restart it is the same')
  t.not(await cookieWith(t, target, { stateDir: join(folder, 'b') }), here, 'on another host it is another')
  for (const guess of ['', 'undefined', 'castor']) {
    t.not(cookieValue(guess, 'app', target.address), here, 'nobody can tell a target from its cookie')
  }
  const secret = 'a secret of 16 or more'
  const configured = await cookieWith(t, target, { stateDir: join(folder, 'a'), secret })
  t.equal(configured, cookieValue(secret, 'app', target.address), 'a secret that is configured goes first')
})
