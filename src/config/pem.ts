import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readRegularFile } from './read-file.js'

/** What reading a PEM file gives: its content, or what is wrong with it, for people. */
export type PemResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string }

export interface PemCertificate {
  readonly x509: X509Certificate
  /** With its BEGIN and END lines. */
  readonly pem: string
}

export interface PemKey {
  readonly key: KeyObject
  readonly pem: string
}

/** Tests read from memory. Throws what the system says. */
export type ReadFile = (path: string) => Buffer

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g
const CERTIFICATE_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']
/** First byte of a long ASN.1 sequence: the same content without its PEM clothing. */
const DER_SEQUENCE = 0x30
/** How PKCS #12 begins behind its length (RFC 7292 4): version 3. */
const PKCS12_VERSION = Buffer.of(0x02, 0x01, 0x03)

interface Block {
  readonly label: string
  readonly pem: string
}

/** Every certificate in the file, in its order. */
export function readCertificates(path: string, read: ReadFile = readRegularFile): PemResult<readonly PemCertificate[]> {
  const blocks = readBlocks(path, read, 'x509')
  if (!blocks.ok) return blocks
  const certificates: PemCertificate[] = []
  for (const { label, pem } of blocks.value) {
    if (!CERTIFICATE_LABELS.includes(label)) continue
    try {
      certificates.push({ x509: new X509Certificate(pem), pem: `${pem}\n` })
    } catch (cause) {
      return fail(`${path}: certificate ${certificates.length + 1} in it cannot be read: ${(cause as Error).message}`)
    }
  }
  if (certificates.length > 0) return { ok: true, value: certificates }
  const others = blocks.value.map(({ label }) => label.toLowerCase())
  return fail(`${path} holds no certificate${others.length > 0 ? `, only: ${others.join(', ')}` : ' in PEM form'}`)
}

/** The first private key in the file. */
export function readPrivateKey(path: string, read: ReadFile = readRegularFile): PemResult<PemKey> {
  const blocks = readBlocks(path, read, 'pkey')
  if (!blocks.ok) return blocks
  const block = blocks.value.find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (block === undefined) {
    const others = blocks.value.map(({ label }) => label.toLowerCase())
    return fail(`${path} holds no private key${others.length > 0 ? `, only: ${others.join(', ')}` : ' in PEM form'}`)
  }
  if (block.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: 4,ENCRYPTED/m.test(block.pem)) {
    return fail(
      `${path} is encrypted; decrypt it with: openssl pkey -in ${path} -out PLAIN.key, and keep that file safe`,
    )
  }
  try {
    return { ok: true, value: { key: createPrivateKey(block.pem), pem: `${block.pem}\n` } }
  } catch (cause) {
    return fail(`${path}: the private key in it cannot be read: ${(cause as Error).message}`)
  }
}

/** Whether a private key lies in the file as well. */
export function holdsPrivateKey(path: string, read: ReadFile = readRegularFile): boolean {
  const blocks = readBlocks(path, read, 'x509')
  return blocks.ok && blocks.value.some(({ label }) => label.endsWith('PRIVATE KEY'))
}

/** `tool` is the openssl command that converts what the file should hold. */
function readBlocks(path: string, read: ReadFile, tool: string): PemResult<readonly Block[]> {
  let bytes: Buffer
  try {
    bytes = read(path)
  } catch (cause) {
    return fail(`${path} cannot be read: ${(cause as Error).message}`)
  }
  if (bytes.length === 0) return fail(`${path} is empty`)
  const content = bytes.toString('latin1')
  const blocks: Block[] = []
  let end = 0
  for (const { 0: begin, 1: label = '', index } of content.matchAll(BEGIN)) {
    const ending = `-----END ${label}-----`
    const at = index < end ? -1 : content.indexOf(ending, index + begin.length)
    // What is left of a file that is still being written would serve, without the issuers that clients need.
    if (at < 0) {
      const begun = content.match(BEGIN)?.length ?? 0
      return fail(`${path} is incomplete: of ${begun} blocks that begin in it ${blocks.length} end`)
    }
    end = at + ending.length
    blocks.push({ label, pem: content.slice(index, end) })
  }
  if (blocks.length === 0 && bytes[0] === DER_SEQUENCE && bytes.subarray(2, 10).includes(PKCS12_VERSION)) {
    const command = `openssl pkcs12 -in ${path} -nodes -out FILE.pem`
    return fail(
      `${path} is a PKCS #12 store, not PEM; convert it with: ${command}, which then holds certificate and key`,
    )
  }
  if (blocks.length === 0 && bytes[0] === DER_SEQUENCE) {
    return fail(
      `${path} is binary (DER), not PEM; convert it with: openssl ${tool} -inform der -in ${path} -out FILE.pem`,
    )
  }
  return { ok: true, value: blocks }
}

function fail(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}
