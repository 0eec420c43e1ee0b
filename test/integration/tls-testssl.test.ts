import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { castorBefore } from './support/castor.js'
import type { Script } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'

const run = promisify(execFile)
const NAME = 'shop.example'
/** Of testssl: protocols, cipher categories, forward secrecy, preferences, certificates, headers. */
const CHECKS = ['--fast', '-p', '-s', '-f', '-P', '-S', '-h']
/** All vulnerabilities, which takes minutes, where `npm run test:long` asks for it; else the one that is soon tried. */
const VULNERABILITIES = { intermediate: process.env.CASTOR_LONG === '1' ? '-U' : '-H', modern: '-H' }
const GRAVE = ['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL']
/** A certificate that a test has made names nobody who could be asked whether it was revoked. */
const OF_THE_CERTIFICATE = /^cert_revocation( <cert#\d>)?$/
/** What an application says of itself, and a balancer passes on. */
const HEADERS = {
  'Content-Security-Policy': "default-src 'self'",
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}

interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

const fields = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`)
const application: Script = {
  answer: (_, connection) => void connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${fields.join('')}\r\nok`),
}

// Both at once: it mostly waits for answers that must not come.
t.jobs = 2

for (const [policy, types] of [
  ['intermediate', ['ec', 'rsa']],
  ['modern', ['ec']],
] as const) {
  t.test(`testssl finds nothing grave with the policy ${policy}`, { timeout: 240_000 }, async (t) => {
    const testssl = toolOrSkip(t, 'testssl')
    if (testssl === undefined) return
    const authority = authorityFor(t)
    const certificates = types.map((type) => authority.issue(`shop-${type}`, { names: [NAME], type }))
    const listener = secured(certificates, { policy, hsts: { maxAge: 31_536_000 } })
    const { port } = await castorBefore(t, application, { listener })
    const file = join(t.testdir({}), 'findings.json')
    const quiet = ['--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'none', '--jsonfile', file]
    const trust = ['--ip', '127.0.0.1', '--add-ca', authority.cert]
    // It counts what it found in its exit code.
    await run(testssl, [...quiet, ...trust, ...CHECKS, VULNERABILITIES[policy], `https://${NAME}:${port}/`]).catch(
      () => {},
    )
    const findings = JSON.parse(readFileSync(file, 'utf8')) as readonly Finding[]
    const grave = findings.filter(({ id, severity }) => GRAVE.includes(severity) && !OF_THE_CERTIFICATE.test(id))
    t.same(grave, [])
    const said = new Map(findings.map(({ id, finding }) => [id, finding]))
    t.match(said.get('TLS1_3'), /^offered/, 'it was tested indeed')
    t.match(said.get('TLS1_2'), policy === 'modern' ? /^not offered/ : /^offered/)
    t.match(said.get('heartbleed'), /not vulnerable/)
    t.match(said.get('HSTS_time'), /365 days/)
  })
}
