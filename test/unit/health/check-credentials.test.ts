import { readFileSync } from 'node:fs'
import t from 'tap'
import type { ClientTlsConfig } from '../../../src/core/tls.js'
import { CheckCredentials } from '../../../workers/probe/check-credentials.js'
import { authorityFor } from '../../integration/support/tls.js'

t.test('groups whose checks show and trust the same share one context', async (t) => {
  const authority = authorityFor(t)
  const ca = readFileSync(authority.cert, 'utf8')
  const trusting = (): ClientTlsConfig => ({ ca, cert: '', key: '' }) as ClientTlsConfig
  const credentials = new CheckCredentials([undefined, undefined, trusting(), trusting()])
  t.equal(credentials.of(0, true), credentials.of(1, true), 'the system’s authorities')
  t.equal(credentials.of(2, true), credentials.of(3, true), 'the same of their own')
  t.not(credentials.of(0, true), credentials.of(2, true))
  const unverified = credentials.of(0, false)
  t.not(unverified, credentials.of(1, true))
  t.equal(unverified, credentials.of(2, false), 'authorities make no difference where nothing is verified')

  const before = credentials.of(3, true)
  credentials.replace([undefined, undefined, undefined, trusting()])
  t.equal(credentials.of(3, true), before, 'a group that is as it was keeps its own')
  t.not(credentials.of(2, true), before, 'a changed one has what it says now')
})
