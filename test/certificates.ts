import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findTool } from './tools.js'

/** A certificate and its key, as files. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

export interface IssueOptions {
  /** Subject alternative names; the first is the common name too. Default: the file's name. */
  readonly names?: readonly string[]
  readonly type?: 'ec' | 'rsa'
  readonly days?: number
  /** It may issue certificates itself. */
  readonly authority?: boolean
  /** Without subject alternative names, as they were made long ago. */
  readonly commonNameOnly?: boolean
}

const KEY_ARGUMENTS = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-newkey', 'rsa:2048'],
} as const

/** Makes certificates with the system's openssl, in a directory of the test's own. */
export class Authority implements CertificateFiles {
  readonly directory: string
  readonly cert: string
  readonly key: string

  constructor(directory: string, name = 'authority') {
    this.directory = directory
    const made = this.#make(name, [], {
      authority: true,
      days: 3650,
      commonNameOnly: true,
      names: [`${name} of tests`],
    })
    this.cert = made.cert
    this.key = made.key
  }

  /** `FILE.pem` and `FILE.key`, issued by this authority or by `issuer`. */
  issue(file: string, options: IssueOptions = {}, issuer: CertificateFiles = this): CertificateFiles {
    return this.#make(file, ['-CA', issuer.cert, '-CAkey', issuer.key], options)
  }

  /** One whose time is over since 2021. */
  issueExpired(file: string): CertificateFiles {
    const path = (extension: string): string => join(this.directory, `${file}.${extension}`)
    const base = ['-nodes', '-subj', `/CN=${file}`, '-keyout', path('key'), '-out', path('csr')]
    openssl(['req', '-new', ...KEY_ARGUMENTS.ec, ...base])
    const config = `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('db')}\nserial=${path('srl')}\nnew_certs_dir=${this.directory}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n[ext]\nsubjectAltName=DNS:${file}\n`
    writeFileSync(path('cnf'), config)
    writeFileSync(path('db'), '')
    writeFileSync(path('srl'), '01\n')
    const times = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']
    const ca = ['-cert', this.cert, '-keyfile', this.key, '-extensions', 'ext', '-notext', '-batch']
    openssl(['ca', '-config', path('cnf'), ...ca, ...times, '-in', path('csr'), '-out', path('pem')])
    return { cert: path('pem'), key: path('key') }
  }

  #make(file: string, issuer: readonly string[], options: IssueOptions): CertificateFiles {
    const { names = [file], type = 'ec', days = 365, authority = false, commonNameOnly = false } = options
    const cert = join(this.directory, `${file}.pem`)
    const key = join(this.directory, `${file}.key`)
    const alternative = names.map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',')
    const extensions = [
      ...['-addext', `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`],
      ...(commonNameOnly ? [] : ['-addext', `subjectAltName=${alternative}`]),
    ]
    const subject = ['-subj', `/O=Castor/CN=${names[0] ?? file}`, '-days', String(days)]
    openssl([
      'req',
      '-utf8',
      '-x509',
      '-nodes',
      ...KEY_ARGUMENTS[type],
      ...issuer,
      ...subject,
      ...extensions,
      '-keyout',
      key,
      '-out',
      cert,
    ])
    return { cert, key }
  }
}

/** Runs openssl and returns what it wrote. */
export function openssl(args: readonly string[], input = ''): string {
  return execFileSync(findTool('openssl') ?? 'openssl', args, {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}
