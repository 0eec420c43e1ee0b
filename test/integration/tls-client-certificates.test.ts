import { readFileSync } from 'node:fs'
import t from 'tap'
import { openssl } from '../certificates.js'
import { type Balancer, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, refusedHandshake, secured } from './support/tls.js'
import { until } from './support/until.js'

const authority = authorityFor(t)
const server = authority.issue('server', { names: ['shop.example'] })
const known = authority.issue('known', { names: ['Älice & Co'], commonNameOnly: true })
const expired = authority.issueExpired('late')
const foreign = authorityFor(t).issue('foreign')
const shown = (files: { cert: string; key: string }) => ({
  cert: readFileSync(files.cert),
  key: readFileSync(files.key),
})

const FORGED = {
  'X-Client-Cert-Verified': 'SUCCESS',
  'x-client_cert-subject': 'CN=root',
  'X-Client-Cert-Fingerprint': '00',
}

async function asking(t: Test, mode: string): Promise<{ balancer: Balancer; target: RawTarget; told: () => unknown }> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const listener = secured([server], { clientCertificates: { mode, ca: authority.cert } })
  const balancer = await startBalancer(t, onePair('http', [target.address], { listener }))
  const told = () => Object.fromEntries(target.requests.at(-1)!.fields.filter(([name]) => /client.cert/i.test(name)))
  return { balancer, target, told }
}

const failures = async ({ metrics }: { metrics: Balancer['metrics'] }, reason: string): Promise<number> =>
  (await metrics()).sum('castor_tls_handshake_failures_total', `reason="${reason}"`)
const reach = (balancer: Balancer) => ({ metrics: () => balancer.metrics() })

t.test('a certificate that is asked for is passed on, and nothing that is forged', async (t) => {
  const { balancer, told } = await asking(t, 'request')
  t.equal((await ask(balancer.port, { headers: FORGED })).status, 200)
  t.same(told(), { 'X-Client-Cert-Verified': 'NONE' })
  t.equal((await ask(balancer.port, { headers: FORGED, ...shown(known) })).status, 200)
  const fingerprint = openssl(['x509', '-in', known.cert, '-noout', '-fingerprint', '-sha256'])
  t.same(told(), {
    'X-Client-Cert-Verified': 'SUCCESS',
    'X-Client-Cert-Subject': 'CN=\\C3\\84lice & Co,O=Castor',
    'X-Client-Cert-Fingerprint': fingerprint.replace(/^.*=/, '').replaceAll(':', '').trim().toLowerCase(),
  })
})

t.test('a required certificate must be there and verify', async (t) => {
  const { balancer, told, target } = await asking(t, 'require')
  t.equal((await ask(balancer.port, shown(known))).status, 200)
  t.match(told(), { 'X-Client-Cert-Verified': 'SUCCESS' })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    await refusedHandshake(balancer.port, { maxVersion })
    await refusedHandshake(balancer.port, { maxVersion, ...shown(foreign) })
    await refusedHandshake(balancer.port, { maxVersion, ...shown(expired) })
  }
  await until('all counted', async () => {
    const counts = ['CERTIFICATE_REQUIRED', 'UNKNOWN_CA', 'CERTIFICATE_REJECTED'].map((reason) =>
      failures(reach(balancer), reason),
    )
    return (await Promise.all(counts)).every((count) => count === 2)
  })
  t.equal(target.requests.length, 1, 'nobody else got through')
})

t.test('one that does not verify is refused where it is only asked for, too', async (t) => {
  const { balancer } = await asking(t, 'request')
  await refusedHandshake(balancer.port, shown(foreign))
  await until('counted', async () => (await failures(reach(balancer), 'UNKNOWN_CA')) === 1)
  t.pass()
})

t.test('who asks for none tells of none', async (t) => {
  const { balancer, told } = await asking(t, 'none')
  t.equal((await ask(balancer.port, { headers: FORGED, ...shown(known) })).status, 200)
  t.same(told(), {})
})
