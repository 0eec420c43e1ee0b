import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// A name that the addon needs and does not list would keep it from loading where the running node lacks it.

const addon = fileURLToPath(new URL('../../../native/castor.node', import.meta.url))
const listing = spawnSync('nm', ['-D', '--undefined-only', addon], { encoding: 'utf8' })

t.test(
  'every function of OpenSSL is a weak reference',
  { skip: listing.status !== 0 && 'no nm or addon' },
  async (t) => {
    const symbols = listing.stdout.split('\n').map((line) => line.trim().split(/\s+/))
    const ofOpenSsl = symbols.filter(([, name]) =>
      /^(SSL|TLS|X509|BIO|ERR|EVP|OSSL|OPENSSL|OpenSSL|PEM|RAND)_/.test(name ?? ''),
    )
    if (ofOpenSsl.length === 0) {
      t.pass('built without TLS')
      return
    }
    for (const [kind, name] of ofOpenSsl) t.equal(kind, 'w', name ?? '')
    const source = readFileSync(new URL('../../../../src/native/tls-symbols.h', import.meta.url), 'utf8')
    const listed = [...source.matchAll(/X\((\w+)\)/g)].map(([, name]) => name)
    t.same(
      listed.filter((name, at) => listed.indexOf(name) !== at),
      [],
      'none twice',
    )
  },
)
