import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from './castor.js'

/** A certificate and its key, both PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** An authority of the test's own, by the program `openssl`. */
export class Authority {
  /** File of the authority's certificate. */
  readonly file: string
  readonly #openssl: string
  readonly #folder: string
  #issued = 0

  constructor(t: Test, openssl: string) {
    this.#openssl = openssl
    this.#folder = mkdtempSync(join(tmpdir(), 'castor-ca-'))
    t.teardown(() => rmSync(this.#folder, { recursive: true, force: true }))
    this.file = join(this.#folder, 'ca.pem')
    this.#run(
      'req',
      '-x509',
      ...EC_KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=test authority',
      '-days',
      '2',
    )
  }

  /** For `name` alone; `days` below 0: it has expired. */
  issue(name: string, days = 2): Identity {
    const file = `leaf${++this.#issued}`
    this.#run('req', ...EC_KEY, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${name}`)
    writeFileSync(join(this.#folder, `${file}.ext`), `subjectAltName=DNS:${name}\n`)
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days)]
    this.#run('x509', '-req', '-in', `${file}.csr`, ...signed, '-extfile', `${file}.ext`, '-out', `${file}.pem`)
    return this.#read(file)
  }

  /** Signed by nobody but itself. */
  selfSigned(name: string): Identity {
    const file = `self${++this.#issued}`
    const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`]
    this.#run('req', '-x509', ...EC_KEY, '-keyout', `${file}.key`, '-out', `${file}.pem`, ...names, '-days', '2')
    return this.#read(file)
  }

  #read(file: string): Identity {
    const read = (ending: string): string => readFileSync(join(this.#folder, `${file}.${ending}`), 'utf8')
    return { cert: read('pem'), key: read('key') }
  }

  #run(...args: string[]): void {
    execFileSync(this.#openssl, args, { cwd: this.#folder, stdio: 'pipe' })
  }
}
