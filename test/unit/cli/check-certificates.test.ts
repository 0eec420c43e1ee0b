import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Authority } from '../../certificates.js'
import { castor } from './castor.js'

const directory = mkdtempSync(join(tmpdir(), 'castor-check-'))
const authority = new Authority(directory)
const late = authority.issueExpired('late.example')
authority.issue('good.example')

function configWith(name: string, tls: string): string {
  const file = join(directory, `${name}.yaml`)
  writeFileSync(
    file,
    `listeners:
  - name: web
    protocol: https
    listen: 127.0.0.1:0
    targetGroup: app
    tls: ${tls}
targetGroups:
  - { name: app, protocol: http, targets: [] }
`,
  )
  return file
}

t.test('check reads the certificates, beside the file, and shows where each is named', async (t) => {
  const good = await castor([
    'check',
    '-c',
    configWith('good', '{ certificates: [{ cert: good.example.pem, key: good.example.key }] }'),
  ])
  t.equal(good.code, 0, good.stderr)
  const file = configWith(
    'bad',
    '{ certificates: [{ cert: good.example.pem, key: late.example.key }, { cert: none.pem, key: none.key }] }',
  )
  const bad = await castor(['check', '-c', file])
  t.equal(bad.code, 2)
  const lines = bad.stderr.split('\n')
  t.match(lines, [
    `${file}:6:58: listeners.0.tls.certificates.0.key: ${directory}/late.example.key does not belong to the first certificate in ${directory}/good.example.pem`,
    `${file}:6:86: listeners.0.tls.certificates.1.cert: ${directory}/none.pem cannot be read: there is no such file`,
    `${file}:6:101: listeners.0.tls.certificates.1.key: ${directory}/none.key cannot be read: there is no such file`,
  ])
})

t.test('an expired certificate is an error to check, old versions are a warning', async (t) => {
  const file = configWith('late', `{ certificates: [{ cert: ${late.cert}, key: ${late.key} }] }`)
  const { code, stderr } = await castor(['check', '-c', file])
  t.equal(code, 2)
  t.match(stderr, /listeners\.0\.tls\.certificates\.0\.cert: .* late\.example expired \d+ days ago/)
  const old = configWith(
    'old',
    '{ certificates: [{ cert: good.example.pem, key: good.example.key }], policy: { minVersion: TLSv1 } }',
  )
  const warned = await castor(['check', '-c', old])
  t.equal(warned.code, 0)
  t.match(warned.stderr, /^warning: .*policy\.minVersion: TLSv1 is broken and forbidden by RFC 8996/)
})
