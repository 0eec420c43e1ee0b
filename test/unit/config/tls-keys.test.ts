import { resolve } from 'node:path'
import t from 'tap'
import { parse, problemsOf } from './support.js'

/** One https listener before one https group, in twelve lines. */
const SECURE = `listeners:
  - name: web
    protocol: https
    listen: 127.0.0.1:8443
    targetGroup: app
    tls:
      certificates: [{ cert: a.pem, key: a.key }]
targetGroups:
  - name: app
    protocol: https
    targets:
      - address: app.internal:9001
`

/** Without the file's problems with certificates, which are not there. */
function keyProblems(set: readonly string[]): string[] {
  return problemsOf(SECURE, { set, readCertificates: false }).map((line) =>
    line.replace(/^(--set [^:]*: |test\.yaml:)/, ''),
  )
}
const keys = (set: readonly string[]) => parse(SECURE, { set, readCertificates: false })

t.test('an https listener offers HTTP/2, speaks intermediate TLS and asks nobody for a certificate', (t) => {
  const [listener] = keys([]).listeners
  const { tls, http2, idleTimeoutMs } = listener!
  t.same(tls, {
    certificates: [{ cert: resolve('a.pem'), key: resolve('a.key'), domains: [] }],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers:
      'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
      'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
    cipherSuites: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    alpn: ['h2', 'http/1.1', 'http/1.0'],
    clientCertificates: { mode: 'none', ca: '' },
    sessionTickets: true,
    handshakeTimeoutMs: 10_000,
  })
  t.same(http2, {
    maxStreams: 128,
    streamWindowBytes: 65_536,
    connectionWindowBytes: 1_048_576,
    headerTableBytes: 4_096,
    rateWindowMs: 10_000,
    maxResets: 500,
    maxRefusals: 1_000,
    maxSettings: 50,
    maxPings: 50_000,
    maxPriorities: 2_000,
    maxUselessFrames: 500,
    maxWindowUpdates: 5_000,
    maxTinyFrames: 1_000,
    maxContinuations: 16,
    maxQueuedBytes: 1_048_576,
    stallTimeoutMs: 60_000,
    settingsTimeoutMs: 10_000,
  })
  t.equal(idleTimeoutMs, 60_000)
  t.end()
})

t.test('the groups that speak TLS verify their targets by default', (t) => {
  const defaults = { verify: true, ca: '', serverName: '', cert: '', key: '' }
  for (const protocol of ['https', 'h2']) {
    t.same(keys([`targetGroups.0.protocol=${protocol}`]).targetGroups[0]?.tls, defaults, protocol)
  }
  t.equal(keys(['targetGroups.0.protocol=h2c']).targetGroups[0]?.tls, undefined)
  const given = keys(['targetGroups.0.tls={ verify: off, serverName: App.Example, cert: c.pem, key: c.key }'])
  t.same(given.targetGroups[0]?.tls, {
    verify: false,
    ca: '',
    serverName: 'app.example',
    cert: resolve('c.pem'),
    key: resolve('c.key'),
  })
  t.end()
})

t.test('paths count from the directory of the file', (t) => {
  const text = SECURE.replace('a.key', '/keys/a.key')
  const config = parse(text, { readCertificates: false }, '/etc/castor/castor.yaml')
  t.same(config.listeners[0]?.tls?.certificates, [{ cert: '/etc/castor/a.pem', key: '/keys/a.key', domains: [] }])
  t.end()
})

t.test('a policy says which versions and ciphers are agreed to', (t) => {
  const policy = (value: string) => keys([`listeners.0.tls.policy=${value}`]).listeners[0]!.tls!
  const modern = policy('modern')
  t.same([modern.minVersion, modern.maxVersion], ['TLSv1.3', 'TLSv1.3'])
  const custom = policy('{ minVersion: TLSv1.2, ciphers: "TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256:!aNULL" }')
  t.equal(custom.cipherSuites, 'TLS_AES_256_GCM_SHA384', 'those of TLS 1.3 are told apart')
  t.equal(custom.ciphers, 'ECDHE-RSA-AES128-GCM-SHA256:!aNULL')
  const old = policy('{ minVersion: TLSv1 }')
  t.match(old.ciphers, /ECDHE-RSA-AES128-SHA.*@SECLEVEL=0$/, 'OpenSSL would refuse old versions otherwise')
  t.equal(policy('{ minVersion: TLSv1, ciphers: "AES128-SHA@SECLEVEL=0" }').ciphers, 'AES128-SHA@SECLEVEL=0')
  t.end()
})

t.test('HTTP/2 is spoken where ALPN offers it, and on http listeners when asked for', (t) => {
  const listener = (...set: string[]) => keys(set).listeners[0]!
  t.equal(listener('listeners.0.http2=off').http2, undefined)
  t.same(listener('listeners.0.http2=off').tls?.alpn, ['http/1.1', 'http/1.0'])
  t.equal(listener('listeners.0.tls.alpn=[http/1.1]').http2, undefined)
  t.same(listener('listeners.0.tls.alpn=[http/1.0]').tls?.alpn, ['http/1.0'], 'HTTP/1.0 alone may be offered')
  t.equal(listener('listeners.0.http2={ maxConcurrentStreams: 7, maxResets: 5 }').http2?.maxStreams, 7)
  const plain = SECURE.replace(/ {4}tls:\n.*\n/, '').replace('protocol: https', 'protocol: http')
  t.equal(parse(plain).listeners[0]?.http2, undefined)
  t.equal(parse(plain, { set: ['listeners.0.http2=on'] }).listeners[0]?.http2?.maxStreams, 128)
  t.end()
})

t.test('a listener that redirects needs no group', (t) => {
  const redirecting = (value: string) =>
    parse(`
listeners:
  - { name: plain, protocol: http, listen: 127.0.0.1:8080, redirectToHttps: ${value} }
targetGroups:
  - { name: app, protocol: http, targets: [] }
`).listeners[0]!
  t.same(redirecting('true').redirectToHttps, { port: 443, status: 0 })
  t.equal(redirecting('true').targetGroup, '')
  t.same(redirecting('{ port: 8443, status: 302 }').redirectToHttps, { port: 8443, status: 302 })
  t.end()
})

t.test('tls listeners offer only what they are told to, and wait as long as tcp ones', (t) => {
  const tls = ['listeners.0.protocol=tls', 'targetGroups.0.protocol=tcp']
  const [listener] = keys(tls).listeners
  t.same(listener?.tls?.alpn, [])
  t.equal(listener?.idleTimeoutMs, 1_800_000)
  t.equal(listener?.http2, undefined)
  t.same(keys([...tls, 'listeners.0.tls.alpn=[imap]']).listeners[0]?.tls?.alpn, ['imap'])
  t.end()
})

t.test('what browsers are told of https arrives in seconds', (t) => {
  const hsts = (value: string) => keys([`listeners.0.tls.hsts=${value}`]).listeners[0]?.tls?.hsts
  t.equal(hsts('off'), undefined)
  t.same(hsts('{ maxAge: 600 }'), { maxAgeSeconds: 600, includeSubDomains: false, preload: false })
  t.end()
})

const FAULTS: readonly (readonly [string, readonly string[], RegExp | string])[] = [
  [
    'no certificate',
    ['listeners.0.tls.certificates=[]'],
    'listeners.0.tls.certificates: must hold at least one certificate',
  ],
  ['a domain that is none', ['listeners.0.tls.certificates.0.domains=[a.*.b]'], /domains\.0: "a\.\*\.b" is no domain/],
  [
    'an unknown cipher',
    ['listeners.0.tls.policy={ ciphers: "AES128-SHA:NOPE" }'],
    /policy\.ciphers: OpenSSL knows no cipher by "NOPE"/,
  ],
  [
    'versions the wrong way round',
    ['listeners.0.tls.policy={ minVersion: TLSv1.3, maxVersion: TLSv1.2 }'],
    /policy\.minVersion: no version lies between/,
  ],
  [
    'a cipher without effect',
    ['listeners.0.tls.policy={ minVersion: TLSv1.3, ciphers: AES128-SHA }'],
    /AES128-SHA has no effect with TLSv1.3 only/,
  ],
  [
    'a suite without effect',
    ['listeners.0.tls.policy={ maxVersion: TLSv1.2, ciphers: TLS_AES_128_GCM_SHA256 }'],
    /has no effect below TLSv1.3/,
  ],
  [
    'clients asked for certificates of nobody',
    ['listeners.0.tls.clientCertificates={ mode: require }'],
    /clientCertificates\.ca: is needed to require certificates/,
  ],
  [
    'authorities without a mode',
    ['listeners.0.tls.clientCertificates={ ca: a.pem }'],
    /clientCertificates\.ca: has no effect without mode; write mode: require, or request/,
  ],
  [
    'another protocol by ALPN',
    ['listeners.0.tls.alpn=[spdy/3]'],
    /alpn\.0: an https listener speaks h2, http\/1\.1 and http\/1\.0, not "spdy\/3"/,
  ],
  [
    'HTTP/2 on that is not offered',
    ['listeners.0.tls.alpn=[http/1.1]', 'listeners.0.http2=on'],
    /http2: has no effect while tls\.alpn is without h2/,
  ],
  [
    'HTTP/2 off that is offered',
    ['listeners.0.tls.alpn=[h2]', 'listeners.0.http2=off'],
    /http2: is off and tls\.alpn offers h2/,
  ],
  [
    'preload for a day',
    ['listeners.0.tls.hsts={ maxAge: 86400, preload: true, includeSubDomains: true }'],
    /hsts\.preload: asks for/,
  ],
  [
    'a redirect from https',
    ['listeners.0.redirectToHttps=true'],
    /redirectToHttps: works on http listeners only, not on an https one/,
  ],
  [
    'TLS on http',
    ['listeners.0.protocol=http'],
    /listeners\.0\.tls: tls has no effect on an http listener; write protocol: https/,
  ],
  [
    'TLS to plain targets',
    ['targetGroups.0.protocol=h2c', 'targetGroups.0.tls={}'],
    /tls has no effect in an h2c group; write protocol: h2/,
  ],
  ['half an identity', ['targetGroups.0.tls={ cert: a.pem }'], /targetGroups\.0\.tls\.cert: needs key beside it/],
  [
    'authorities nobody asks',
    ['targetGroups.0.tls={ verify: false, ca: a.pem }'],
    /ca has no effect with verify: false/,
  ],
  [
    'requests for a tcp group',
    ['targetGroups.0.protocol=tls'],
    /the group "app" tls; it must be http, https, h2 or h2c/,
  ],
]

t.test('keys that do not go together are found', (t) => {
  for (const [title, set, says] of FAULTS) {
    const problems = keyProblems(set)
    t.equal(problems.length, 1, `${title}: ${problems.join('\n')}`)
    t.match(problems[0], says, title)
  }
  t.end()
})

t.test('a listener without the tls it needs is shown at its protocol', (t) => {
  const text = SECURE.replace(/ {4}tls:\n.*\n/, '')
  t.same(problemsOf(text), ['test.yaml:3:15: listeners.0.protocol: an https listener needs certificates; give it tls'])
  t.end()
})
