import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { der, integer, pem, sequence } from './support/der.js'
import { RawTarget } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'

const authority = authorityFor(t)
const shop = authority.issue('shop', { names: ['shop.example'] })

/** The parts of a DER value, each with its tag and length. */
function partsOf(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const short = bytes[at + 1]!
    const sizeBytes = short < 0x80 ? 0 : short & 0x7f
    const length = sizeBytes === 0 ? short : bytes.readUIntBE(at + 2, sizeBytes)
    const end = at + 2 + sizeBytes + length
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

/** SSL_SESSION's max_early_data in OpenSSL's ASN.1, and the first optional field behind it. */
const MAX_EARLY_DATA = 0xa0 | 15

/** OpenSSL's client sends early data only where the ticket allows it: the saved session is made to say so. */
function allowEarlyData(file: string): void {
  const text = readFileSync(file, 'latin1')
  const whole = Buffer.from(text.replace(/-----[^-]*-----|\s/g, ''), 'base64')
  const [outer] = partsOf(whole)
  const content = outer!.subarray(outer![1]! < 0x80 ? 2 : 2 + (outer![1]! & 0x7f))
  const parts = partsOf(content).filter((part) => part[0] !== MAX_EARLY_DATA)
  const behind = parts.findIndex((part) => part[0]! > MAX_EARLY_DATA)
  parts.splice(behind < 0 ? parts.length : behind, 0, der(MAX_EARLY_DATA, integer(Buffer.of(0x40, 0x00))))
  writeFileSync(file, pem('SSL SESSION PARAMETERS', sequence(...parts)))
}

const asks = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n`

for (const native of ['on', 'off']) {
  const how = native === 'on' ? 'the addon' : 'Node’s TLS'
  t.test(
    `${how}: a client that sends early data all the same is refused that, and its handshake goes on`,
    async (t) => {
      const openssl = toolOrSkip(t, 'openssl')
      if (openssl === undefined) return
      const target = await RawTarget.start()
      t.teardown(() => target.stop())
      const config = onePair('http', [target.address], { listener: secured([shop]) })
      const castor = await startChild(t, config, native === 'on' ? {} : { env: { CASTOR_NATIVE: 'off' } })
      const folder = mkdtempSync(join(tmpdir(), 'castor-early-'))
      t.teardown(() => rmSync(folder, { recursive: true, force: true }))
      const session = join(folder, 'session')
      const early = join(folder, 'early')
      writeFileSync(early, asks('/early'))
      const client = async (...more: readonly string[]): Promise<string> => {
        const args = ['s_client', '-connect', `127.0.0.1:${castor.port()}`, '-tls1_3', '-ign_eof', ...more]
        const child = spawn(openssl, args, { timeout: 10_000 })
        let said = ''
        child.stdout.on('data', (data) => (said += String(data)))
        child.stdin.on('error', () => {})
        child.stdin.write(asks('/late'))
        await once(child, 'close')
        return said
      }
      await client('-sess_out', session)
      allowEarlyData(session)
      const said = await client('-sess_in', session, '-early_data', early)
      t.match(said, /Early data was rejected/, 'it was sent, and nobody read it')
      t.match(said, /Reused, TLSv1\.3/, 'the ticket was good all the same')
      t.match(said, /HTTP\/1\.1 200 OK/, 'and so was the request behind the handshake')
      t.same(
        target.requests.map((request) => request.target),
        ['/late', '/late'],
        'what came early reached nobody',
      )
    },
  )
}
