import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { Certificates } from '../../../src/control/certificates.js'
import type { Config } from '../../../src/core/config.js'
import { createLogger } from '../../../src/observe/log.js'
import { Authority, type CertificateFiles } from '../../certificates.js'
import { until } from '../../integration/support/until.js'
import { firstSnapshot } from '../../snapshots.js'

const source = mkdtempSync(join(tmpdir(), 'castor-certificates-'))
const authority = new Authority(source)
const generations = [1, 2, 3].map((n) => authority.issue(`generation-${n}`, { names: ['shop.example'] }))

interface Line {
  readonly level: string
  readonly msg: string
  readonly problem?: string
  readonly listener?: string
}

/** Certificates of one https listener over files in a directory of its own, and what they logged. */
function open(t: Test, cert: string, key: string, tls = '', pollMs = 10_000) {
  const config: Config = parseConfig(
    `listeners:
  - { name: web, protocol: https, listen: 127.0.0.1:0, targetGroup: app, tls: { certificates: [{ cert: ${cert}, key: ${key} }]${tls} } }
targetGroups:
  - { name: app, protocol: https, targets: [], tls: { ca: ${authority.cert} } }
`,
    'test.yaml',
    { env: {} },
  )
  const lines: Line[] = []
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Line),
    flushSync() {},
    close: async () => true,
  }
  const log = createLogger({ level: 'info', format: 'json', access: 'off', audit: 'off' }, destination, {
    node: 'n',
    thread: 't',
  })
  const certificates = new Certificates(config, log, new Set(), { settleMs: 20, pollMs })
  let changes = 0
  certificates.onChange = () => changes++
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => {
    clearInterval(alive)
    certificates.stop()
  })
  certificates.load()
  const fingerprint = (): string => certificates.facts('web')[0]!.fingerprint
  const material = () => certificates.material(firstSnapshot(config))
  const shown = (): string => material().listeners[0]!.identities[0]!.cert
  return { certificates, lines, fingerprint, material, shown, changes: () => changes }
}

function copy(from: CertificateFiles, directory: string): { cert: string; key: string } {
  const to = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  for (const part of ['cert', 'key'] as const) {
    copyFileSync(from[part], `${to[part]}.new`)
    renameSync(`${to[part]}.new`, to[part])
  }
  return to
}

t.test('what is read at the start is what the threads are given', (t) => {
  const { cert, key } = copy(generations[0]!, t.testdir())
  const { certificates, material, changes } = open(t, cert, key)
  const { listeners, groups } = material()
  t.match(listeners[0], { minVersion: 'TLSv1.2', alpn: ['h2', 'http/1.1'], sessionTickets: true })
  t.same(listeners[0]?.identities[0]?.names, ['shop.example'])
  t.match(groups[0], { verify: true, alpn: ['http/1.1'], ca: /BEGIN CERTIFICATE/ })
  t.match(certificates.facts('web'), [{ path: cert, names: ['shop.example'], keyType: 'ECDSA' }])
  t.same(certificates.facts('other'), [])
  t.equal(changes(), 0)
  t.end()
})

t.test('files that are renamed into place are read again', async (t) => {
  const directory = t.testdir()
  const { cert, key } = copy(generations[0]!, directory)
  const { certificates, fingerprint, lines, changes } = open(t, cert, key)
  certificates.watch()
  const first = fingerprint()
  copy(generations[1]!, directory)
  await until('the second', () => fingerprint() !== first)
  await until('everyone was told', () => changes() === 1)
  t.ok(lines.some(({ msg }) => msg === 'certificates have changed; new connections get the new ones'))
  copy(generations[2]!, directory)
  await until('the third', () => changes() === 2)
})

t.test('a symbolic link that is put in place of another is followed', async (t) => {
  const directory = t.testdir({ one: {}, two: {} })
  copy(generations[0]!, join(directory, 'one'))
  copy(generations[1]!, join(directory, 'two'))
  // As Kubernetes does it: the names are links through ..data, which is swapped in one step.
  symlinkSync('one', join(directory, '..data'))
  symlinkSync('..data/tls.crt', join(directory, 'tls.crt'))
  symlinkSync('..data/tls.key', join(directory, 'tls.key'))
  const { certificates, changes, fingerprint } = open(t, join(directory, 'tls.crt'), join(directory, 'tls.key'))
  certificates.watch()
  const first = fingerprint()
  symlinkSync('two', join(directory, '..tmp'))
  renameSync(join(directory, '..tmp'), join(directory, '..data'))
  await until('the swap was seen', () => changes() === 1)
  t.not(fingerprint(), first)
  rmSync(join(directory, 'one'), { recursive: true })
})

t.test('what no event tells of is found by looking', async (t) => {
  const directory = t.testdir({ one: {}, two: {} })
  copy(generations[0]!, join(directory, 'one'))
  copy(generations[1]!, join(directory, 'two'))
  mkdirSync(join(directory, 'etc', 'deep'), { recursive: true })
  const link = join(directory, 'etc', 'current')
  symlinkSync('../one', link)
  // The link lies above the directory that is watched.
  const { certificates, changes } = open(t, join(link, 'tls.crt'), join(link, 'tls.key'), '', 50)
  certificates.watch()
  symlinkSync('../two', `${link}.new`)
  renameSync(`${link}.new`, link)
  await until('the swap was found', () => changes() === 1)
})

t.test('a pair that is not good is refused, once, while the one before serves on', async (t) => {
  const directory = t.testdir()
  const { cert, key } = copy(generations[0]!, directory)
  const { certificates, shown, lines, changes } = open(t, cert, key)
  certificates.watch()
  const first = shown()
  const refused = (): Line[] => lines.filter(({ level }) => level === 'error')

  copyFileSync(generations[1]!.cert, cert)
  await until('the mismatch was seen', () => refused().length === 1)
  t.match(refused()[0], {
    listener: 'web',
    msg: 'a certificate is refused; the one before serves on',
    problem: /tls\.key does not belong to the first certificate in .*tls\.crt$/,
  })
  t.equal(shown(), first)
  certificates.reload()
  t.equal(refused().length, 1, 'the same is not said twice')

  writeFileSync(cert, 'garbage')
  await until('the garbage was seen', () => refused().length === 2)
  rmSync(cert)
  await until('the loss was seen', () => refused().length === 3)
  t.equal(shown(), first)
  t.equal(changes(), 0)
  t.equal(certificates.facts('web').length, 1, 'what serves is what is told of')

  copy(generations[1]!, directory)
  await until('the next good pair serves', () => changes() === 1)
  t.not(shown(), first)
})

t.test('authorities of clients are read again too, and broken ones refused', async (t) => {
  const directory = t.testdir()
  const { cert, key } = copy(generations[0]!, directory)
  const ca = join(directory, 'ca.pem')
  copyFileSync(authority.cert, ca)
  const { certificates, lines, material, changes } = open(
    t,
    cert,
    key,
    `, clientCertificates: { mode: require, ca: ${ca} }`,
  )
  certificates.watch()
  const bundle = (): string => material().listeners[0]!.clientCertificates.ca
  const first = bundle()
  writeFileSync(ca, '')
  await until('the empty one was seen', () => lines.some(({ level }) => level === 'error'))
  t.equal(bundle(), first)
  copyFileSync(new Authority(source, 'another').cert, ca)
  await until('the new one serves', () => changes() === 1)
  t.not(bundle(), first)
})

t.test('what cannot be read at the start is an error', (t) => {
  const { cert, key } = copy(generations[0]!, t.testdir())
  const config = parseConfig(
    `listeners:
  - { name: web, protocol: https, listen: 127.0.0.1:0, targetGroup: app, tls: { certificates: [{ cert: ${cert}, key: ${key} }] } }
targetGroups:
  - { name: app, protocol: http, targets: [] }
`,
    'test.yaml',
    { env: {} },
  )
  rmSync(key)
  const destination = { write() {}, flushSync() {}, close: async () => true }
  const log = createLogger({ level: 'info', format: 'json', access: 'off', audit: 'off' }, destination, {
    node: 'n',
    thread: 't',
  })
  t.throws(() => new Certificates(config, log).load(), { code: 'CONFIG_INVALID', message: /there is no such file/ })
  t.end()
})
