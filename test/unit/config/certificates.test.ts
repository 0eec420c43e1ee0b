import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Finding } from '../../../src/config/certificate.js'
import { unservedCiphers } from '../../../src/config/served-ciphers.js'
import { readGroupFiles, readListenerFiles } from '../../../src/config/tls-files.js'
import { Authority, type CertificateFiles, openssl } from '../../certificates.js'

const DAY_MS = 24 * 60 * 60 * 1000
const directory = mkdtempSync(join(tmpdir(), 'castor-certificates-'))
const authority = new Authority(directory)
const shop = authority.issue('shop', { names: ['shop.example', '*.Shop.example'] })
const shopRsa = authority.issue('shop-rsa', { names: ['shop.example'], type: 'rsa' })
const other = authority.issue('other', { names: ['other.example'] })

function file(name: string, content: string | Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}
const content = (path: string): string => readFileSync(path, 'utf8')

interface Pair extends CertificateFiles {
  readonly domains?: readonly string[]
}

function readPairs(pairs: readonly Pair[], nowMs = Date.now(), ca = '') {
  const certificates = pairs.map((pair) => ({ domains: [], ...pair }))
  return readListenerFiles({ certificates, clientCertificates: { mode: 'none', ca } }, undefined, nowMs)
}

const told = (findings: readonly Finding[]): string[] =>
  findings.map(
    ({ path, severity, message }) => `${severity} ${path.join('.')}: ${message.replaceAll(`${directory}/`, '')}`,
  )

t.test('a good pair is read with its names, and nothing is said about it', (t) => {
  const { identities, facts, findings } = readPairs([shop, shopRsa, other])
  t.same(told(findings), [])
  t.same(
    identities.map(({ names }) => names),
    [['shop.example', '*.shop.example'], ['shop.example'], ['other.example']],
    'RSA and ECDSA side by side for one name',
  )
  t.equal(identities[0]?.cert, content(shop.cert))
  t.equal(identities[0]?.key, content(shop.key))
  t.match(facts[0], { path: shop.cert, keyType: 'ECDSA', issuer: 'authority of tests', fingerprint: /^[0-9a-f]{64}$/ })
  t.equal(facts[1]?.keyType, 'RSA')
  t.end()
})

t.test('the common name counts only where there are no alternative names', (t) => {
  const old = authority.issue('old', { names: ['Old.example'], commonNameOnly: true })
  const addressed = authority.issue('addressed', { names: ['127.0.0.1'] })
  const read = readPairs([old])
  t.same(read.identities[0]?.names, ['old.example'])
  t.same(told(read.findings), [
    'warning certificates.0.cert: old.pem: old.example has no subjectAltName; clients look at nothing else and refuse it',
  ])
  t.same(readPairs([addressed]).identities[0]?.names, [], 'an address is nothing that is asked for by name')
  t.same(told(readPairs([shop, addressed]).findings), [
    'error certificates.1.cert: addressed.pem names nothing that a client could ask for, and is not the first; set domains',
  ])
  t.end()
})

t.test('a chain holds each issuer behind what it issued', (t) => {
  const middle = authority.issue('middle', { authority: true, commonNameOnly: true })
  const leaf = authority.issue('leaf', { names: ['leaf.example'] }, middle)
  const right = file('right.pem', content(leaf.cert) + content(middle.cert))
  const wrong = file('wrong.pem', content(leaf.cert) + content(authority.cert))
  const reversed = file('reversed.pem', content(middle.cert) + content(leaf.cert))
  const whole = readPairs([{ cert: right, key: leaf.key }])
  t.same(told(whole.findings), [])
  t.equal(whole.identities[0]?.cert, content(right))
  t.same(told(readPairs([{ cert: wrong, key: leaf.key }]).findings), [
    'error certificates.0.cert: wrong.pem: the chain is out of order: certificate 2 (authority of tests) did not issue certificate 1 (leaf.example); the server’s own comes first, then the one that issued it, and so on',
  ])
  t.match(told(readPairs([{ cert: reversed, key: leaf.key }]).findings), [
    /out of order/,
    /reversed\.pem, but to number 2; the server’s own certificate must come first$/,
  ])
  t.end()
})

t.test('a short key is warned of', (t) => {
  const cert = join(directory, 'short.pem')
  const key = join(directory, 'short.key')
  const names = ['-subj', '/CN=short', '-addext', 'subjectAltName=DNS:short.example']
  openssl(['req', '-x509', '-newkey', 'rsa:1024', '-nodes', '-keyout', key, '-out', cert, '-days', '90', ...names])
  const [first, ...others] = told(readPairs([{ cert, key }]).findings)
  t.equal(
    first,
    'warning certificates.0.cert: short.pem: short.example has a key of 1024 bits; most refuse less than 2048',
  )
  // OpenSSL of Node 24 and later is one of those.
  t.ok(others.length <= 1 && others.every((other) => other.includes('ee key too small')), String(others))
  t.end()
})

t.test('files that cannot serve are refused with what to do', (t) => {
  const encrypted = join(directory, 'encrypted.key')
  openssl(['pkey', '-in', shop.key, '-aes128', '-passout', 'pass:secret', '-out', encrypted])
  const legacy = join(directory, 'legacy.key')
  openssl(['rsa', '-in', shopRsa.key, '-aes128', '-traditional', '-passout', 'pass:secret', '-out', legacy])
  const der = join(directory, 'shop.der')
  openssl(['x509', '-in', shop.cert, '-outform', 'der', '-out', der])
  const store = join(directory, 'shop.p12')
  openssl(['pkcs12', '-export', '-in', shop.cert, '-inkey', shop.key, '-passout', 'pass:secret', '-out', store])
  const half = file('half.pem', content(shop.cert).slice(0, 300))
  const halfChain = file('half-chain.pem', content(shop.cert) + content(authority.cert).slice(0, 300))
  const broken = file('broken.pem', content(shop.cert).replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'))
  const cases: readonly (readonly [string, Pair, RegExp])[] = [
    [
      'no file',
      { ...shop, cert: join(directory, 'none.pem') },
      /^error certificates\.0\.cert: none\.pem cannot be read: there is no such file$/,
    ],
    ['a directory', { ...shop, key: directory }, /^error certificates\.0\.key: .* cannot be read: it is a directory$/],
    ['nothing in it', { ...shop, cert: file('empty.pem', '') }, /empty\.pem is empty$/],
    ['text', { ...shop, cert: file('text.pem', 'hello') }, /text\.pem holds no certificate in PEM form$/],
    ['a key for a certificate', { ...shop, cert: shop.key }, /shop\.key holds no certificate, only: private key$/],
    ['a certificate for a key', { ...shop, key: shop.cert }, /shop\.pem holds no private key, only: certificate$/],
    [
      'binary',
      { ...shop, cert: der },
      /shop\.der is binary \(DER\), not PEM; convert it with: openssl x509 -inform der -in shop\.der -out FILE\.pem$/,
    ],
    [
      'PKCS #12',
      { ...shop, cert: store },
      /shop\.p12 is a PKCS #12 store, not PEM; convert it with: openssl pkcs12 -in shop\.p12 -nodes -out FILE\.pem,/,
    ],
    ['half of it', { ...shop, cert: half }, /half\.pem is incomplete: of 1 blocks that begin in it 0 end$/],
    [
      'without the end of its chain',
      { ...shop, cert: halfChain },
      /half-chain\.pem is incomplete: of 2 blocks that .* 1 end$/,
    ],
    ['damaged', { ...shop, cert: broken }, /broken\.pem: certificate 1 in it cannot be read: /],
    [
      'encrypted',
      { ...shop, key: encrypted },
      /encrypted\.key is encrypted; decrypt it with: openssl pkey -in encrypted\.key -out /,
    ],
    ['encrypted long ago', { ...shopRsa, key: legacy }, /legacy\.key is encrypted; decrypt it with: openssl pkey/],
    ['another’s key', { ...shop, key: other.key }, /other\.key does not belong to the first certificate in shop\.pem$/],
  ]
  for (const [title, pair, says] of cases) {
    const { findings, identities } = readPairs([pair])
    t.match(told(findings), [says], title)
    t.equal(findings.length, 1, title)
    t.same(identities, [], title)
  }
  t.end()
})

t.test('both may lie in one file, and a key beside a certificate is warned of', (t) => {
  const combined = file('combined.pem', content(shop.cert) + content(shop.key))
  const both = readPairs([{ cert: combined, key: combined }])
  t.same(told(both.findings), [])
  t.notMatch(both.identities[0]?.cert, /PRIVATE/, 'the key does not travel with the certificate')
  const { findings, identities } = readPairs([{ cert: combined, key: shop.key }])
  t.match(told(findings), [/^warning certificates\.0\.cert: combined\.pem holds a private key too/])
  t.equal(identities.length, 1)
  t.end()
})

t.test('time is told of: expired, not yet valid, and soon to expire', (t) => {
  const expired = authority.issueExpired('late.example')
  t.match(told(readPairs([expired]).findings), [
    /^expired certificates\.0\.cert: late\.example\.pem: late\.example expired \d+ days ago, at 2021-01-01T00:00:00Z$/,
  ])
  t.equal(readPairs([expired]).identities.length, 1, 'it still serves')
  t.match(told(readPairs([shop], Date.now() - 2 * DAY_MS).findings), [/^expired .*shop\.example is valid only from 20/])
  t.match(told(readPairs([shop], Date.now() + 336 * DAY_MS).findings), [
    /^warning .*shop\.example expires in 28 days, at 20/,
  ])
  t.same(told(readPairs([shop], Date.now() + 330 * DAY_MS).findings), [], 'more than 30 days are enough')
  const brief = authority.issue('brief', { days: 6 })
  t.same(told(readPairs([brief], Date.now() + 3 * DAY_MS).findings), [], 'one made for days is renewed later')
  t.match(told(readPairs([brief], Date.now() + 5 * DAY_MS).findings), [/^warning .*brief expires in \d+ hours/])
  t.end()
})

t.test('domains that the certificate is not for are warned of, and serve all the same', (t) => {
  const { findings, identities } = readPairs([{ ...shop, domains: ['a.shop.example', 'a.b.shop.example', '*.other'] }])
  t.same(told(findings), [
    'warning certificates.0.domains.1: shop.pem is not for a.b.shop.example, only for shop.example, *.shop.example; clients will refuse it',
    'warning certificates.0.domains.2: shop.pem is not for *.other, only for shop.example, *.shop.example; clients will refuse it',
  ])
  t.same(identities[0]?.names, ['a.shop.example', 'a.b.shop.example', '*.other'])
  t.end()
})

t.test('one name with two keys of one type is an error that domains settle', (t) => {
  const again = authority.issue('again', { names: ['again.example', 'shop.example'] })
  t.same(told(readPairs([other, shop, again]).findings), [
    'error certificates.2.cert: again.pem is for shop.example with a key of type ECDSA, and so is certificates.1; say with domains which one serves it',
  ])
  t.same(told(readPairs([shop, { ...again, domains: ['again.example'] }]).findings), [])
  t.end()
})

t.test('ciphers of TLS 1.2 that no certificate can serve are warned of', (t) => {
  const rsa = authority.issue('rsa', { type: 'rsa' })
  const ciphersFor = (certs: Parameters<typeof readPairs>[0], ciphers: string, minVersion = 'TLSv1.2') =>
    told(unservedCiphers({ ciphers, minVersion }, readPairs(certs).facts))
  const both = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'
  t.match(ciphersFor([shop], 'ECDHE-RSA-AES128-GCM-SHA256:AES128-GCM-SHA256'), [
    /^warning policy\.ciphers: no cipher in it can be served by a certificate with a key of type ECDSA/,
  ])
  t.match(ciphersFor([rsa], both), [
    /^warning policy\.ciphers: no certificate can serve ECDHE-ECDSA-AES128-GCM-SHA256: /,
  ])
  t.match(ciphersFor([rsa], 'ECDHE+AESGCM:!aRSA'), [/^warning policy\.ciphers: no cipher in it/])
  t.same(ciphersFor([shop, rsa], both), [])
  t.same(ciphersFor([rsa], 'ECDHE+AESGCM:AES128-SHA'), [], 'a group of ciphers is for whom it fits')
  t.same(ciphersFor([shop], 'ECDHE-RSA-AES128-GCM-SHA256', 'TLSv1.3'), [], 'none of them is spoken')
  t.same(ciphersFor([shop], ''), [])
  t.same(ciphersFor([shop], '', 'TLSv1'), [], 'the lists of the product are for both kinds')
  t.end()
})

t.test('a bundle of authorities must hold some', (t) => {
  t.equal(readPairs([shop], Date.now(), authority.cert).ca, content(authority.cert))
  t.match(told(readPairs([shop], Date.now(), shop.key).findings), [
    /^error clientCertificates\.ca: shop\.key holds no certificate/,
  ])
  t.match(told(readPairs([shop], Date.now(), other.cert).findings), [
    /^warning clientCertificates\.ca: .*other\.example is no authority/,
  ])
  t.end()
})

t.test('what targets are shown and trusted by is read in the same way', (t) => {
  const tls = { verify: true, ca: authority.cert, serverName: 'app', cert: shop.cert, key: shop.key }
  const { config, findings } = readGroupFiles(tls, 'h2', undefined, Date.now())
  t.same(told(findings), [])
  t.match(config, {
    verify: true,
    ca: content(authority.cert),
    serverName: 'app',
    key: content(shop.key),
    alpn: ['h2'],
  })
  t.same(readGroupFiles(tls, 'https', undefined, Date.now()).config?.alpn, ['http/1.1'])
  t.same(readGroupFiles(tls, 'tls', undefined, Date.now()).config?.alpn, [])
  const bad = readGroupFiles({ ...tls, key: other.key }, 'https', undefined, Date.now())
  t.match(told(bad.findings), [/^error key: other\.key does not belong/])
  t.equal(bad.config, undefined)
  t.end()
})
