import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SecureVersion } from 'node:tls'
import { parseConfig } from '../../src/config/load.js'
import { startCastor } from '../../src/control/assemble.js'
import type { RunningCastor } from '../../src/control/running.js'
import { FLAG, FRAME } from '../../src/http/h2/frames.js'
import { CertificateAuthority, type Identity } from '../integration/support/certificate-authority.js'
import { get, request } from '../integration/support/raw-client.js'
import { ok, RawTarget } from '../integration/support/raw-target.js'
import { within } from '../integration/support/waiting.js'
import { RecordPeer } from '../tls-peer/record-peer.js'
import { GET, headers, OK, PREFACE, settings } from '../unit/http/h2/rig.js'
import { type RecordSequence, SequenceMaker } from './record-sequence.js'
import type { Finding, FuzzSubject } from './subject.js'

const AT_ONCE = 6
const PROGRESS_MS = 10_000
/** A thread that does nothing while nothing comes uses next to no time of the processor. */
const IDLE_MS = 60
const MOST_IDLE_SHARE = 0.7
const IDLE_TRIES = 5

const BIG = Buffer.alloc(300_000, 'b')
const HTTP1_REQUEST = Buffer.from(get('/'))
const HTTP1_RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes')
const HTTP2_REQUEST = Buffer.concat([PREFACE, settings(), headers(1, GET, FLAG.END_STREAM)])
const HTTP2_RESPONSE = Buffer.concat([settings(), headers(1, OK, FLAG.END_STREAM)])

/** A way into Castor, as a client of it (`listener`) or as a target (`group` says of what kind). */
interface Way {
  readonly role: 'client' | 'target'
  readonly name: string
  readonly alpn: string
  readonly data: Buffer
}

const WAYS: readonly Way[] = [
  { role: 'client', name: 'http1', alpn: 'http/1.1', data: HTTP1_REQUEST },
  { role: 'client', name: 'http1', alpn: 'http/1.1', data: Buffer.from('x\r\n\r\n') },
  { role: 'client', name: 'http1', alpn: 'http/1.1', data: Buffer.from(get('/big')) },
  { role: 'client', name: 'h2', alpn: 'h2', data: HTTP2_REQUEST },
  { role: 'client', name: 'tunnel', alpn: '', data: HTTP1_REQUEST },
  { role: 'target', name: 'https', alpn: 'http/1.1', data: HTTP1_RESPONSE },
  { role: 'target', name: 'h2', alpn: 'h2', data: HTTP2_RESPONSE },
  { role: 'target', name: 'tls', alpn: '', data: HTTP1_RESPONSE },
]

/** Random records behind real handshakes, as a client and as a target, of TLS 1.2 and 1.3. */
export class TlsRecords implements FuzzSubject {
  readonly name = 'tls'
  readonly #random: () => number
  readonly #castor: RunningCastor
  readonly #target: RawTarget
  readonly #hostile: Server
  readonly #folder: string
  readonly #log: string[]
  readonly #credentials: Identity
  /** What the next connection to the hostile target is shown. */
  #onConnection: (socket: Socket) => void = (socket) => void socket.destroy()
  #lawful = 0
  #served = 0

  private constructor(
    random: () => number,
    parts: {
      castor: RunningCastor
      target: RawTarget
      hostile: Server
      folder: string
      log: string[]
      credentials: Identity
    },
  ) {
    this.#random = random
    this.#castor = parts.castor
    this.#target = parts.target
    this.#hostile = parts.hostile
    this.#folder = parts.folder
    this.#log = parts.log
    this.#credentials = parts.credentials
    this.#hostile.on('connection', (socket: Socket) => {
      socket.on('error', () => {})
      this.#onConnection(socket)
    })
  }

  static async start(random: () => number): Promise<TlsRecords> {
    const folder = mkdtempSync(join(tmpdir(), 'castor-fuzz-tls-'))
    const credentials = new CertificateAuthority().issue(['localhost', '127.0.0.1'])
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    writeFileSync(files.cert, credentials.cert)
    writeFileSync(files.key, credentials.key, { mode: 0o600 })
    const big = `HTTP/1.1 200 OK\r\ncontent-length: ${BIG.length}\r\n\r\n${BIG}`
    const target = await RawTarget.start({
      answer: ({ target }, connection) => void connection.write(target === '/big' ? big : ok('yes')),
    })
    const hostile = createServer()
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve))
    const log: string[] = []
    const config = configBefore(files, target.address, `127.0.0.1:${(hostile.address() as AddressInfo).port}`)
    const castor = await startCastor(parseConfig(config, 'fuzz.yaml'), {
      logDestination: { write: (line: string) => void log.push(line), flushSync() {}, close: async () => true },
    })
    return new TlsRecords(random, { castor, target, hostile, folder, log, credentials })
  }

  async round(report: (finding: Finding) => void): Promise<number> {
    const ways = Array.from({ length: AT_ONCE }, () => WAYS[Math.floor(this.#random() * WAYS.length)]!)
    // One target at a time: whose connection is whose must be known.
    const target = ways.find(({ role }) => role === 'target')
    const chosen = [...ways.filter(({ role }) => role === 'client'), ...(target === undefined ? [] : [target])]
    const peers: RecordPeer[] = []
    await Promise.all(
      chosen.map(async (way) => {
        const version: SecureVersion = this.#random() < 0.5 ? 'TLSv1.3' : 'TLSv1.2'
        let sequence: RecordSequence | undefined
        try {
          const attack =
            way.role === 'client' ? this.#asClient(way, version, peers) : this.#asTarget(way, version, peers)
          sequence = await attack
        } catch (fault) {
          report(finding(way, version, (fault as Attack).sequence ?? sequence, (fault as Error).message))
        }
      }),
    )
    const rest = await this.#look()
    for (const fault of rest) report(finding(undefined, '', undefined, fault))
    for (const peer of peers) peer.close()
    return chosen.length
  }

  remarks(): string {
    return `${this.#lawful} sequences were lawful, and ${this.#served} were answered`
  }

  async stop(): Promise<void> {
    await this.#castor.stopNow()
    await this.#target.stop()
    await new Promise<void>((resolve) => this.#hostile.close(() => resolve()))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #port(name: string): number {
    return this.#castor.listeners.find((listener) => listener.name === name)!.port
  }

  async #asClient(way: Way, version: SecureVersion, peers: RecordPeer[]): Promise<RecordSequence> {
    const port = this.#port(way.name === 'tunnel' ? 'tunnel' : 'secure')
    const alpn = way.alpn === '' ? {} : { alpn: [way.alpn] }
    const peer = await within('a handshake', RecordPeer.connect(port, { version, ...alpn }), PROGRESS_MS)
    peers.push(peer)
    const isAnswered = (): boolean => answered(way, peer.data)
    return this.#show(way, version, peer, isAnswered)
  }

  async #asTarget(way: Way, version: SecureVersion, peers: RecordPeer[]): Promise<RecordSequence> {
    const connected = new Promise<Socket>((resolve) => {
      let first = true
      this.#onConnection = (socket) => {
        if (first) resolve(socket)
        else socket.destroy()
        first = false
      }
    })
    const asked = request(this.#port(`before-${way.name}`), HTTP1_REQUEST, 'GET')
    let status = 0
    asked.then(
      (response) => (status = response.status),
      () => (status = -1),
    )
    const socket = await within('a connection to the target', connected, PROGRESS_MS)
    const alpn = way.alpn === '' ? {} : { alpn: [way.alpn] }
    const { cert, key } = this.#credentials
    const accepting = RecordPeer.accept(socket, { cert, key }, { version, ...alpn })
    const peer = await within('a handshake', accepting, PROGRESS_MS)
    peers.push(peer)
    if (way.alpn !== 'h2') await until('a request', () => peer.data.length > 0 || peer.ended)
    const sequence = await this.#show(way, version, peer, () => status === 200)
    // Whatever became of it, the client hears of it, once the target is gone.
    peer.close()
    await until('an answer to the client', () => status !== 0, sequence)
    return sequence
  }

  /** Sends a sequence. What is lawful must be answered; whatever it was, the end of the stream must be the end. */
  async #show(way: Way, version: SecureVersion, peer: RecordPeer, isAnswered: () => boolean): Promise<RecordSequence> {
    const sequence = new SequenceMaker(this.#random, peer.keys, version).make(way.data)
    const reads = this.#random() < 0.8
    if (!reads) peer.socket.pause()
    for (const segment of sequence.segments) {
      peer.send(segment)
      if (sequence.segments.length > 1) await new Promise(setImmediate)
    }
    if (!reads) {
      await new Promise(setImmediate)
      peer.socket.resume()
    }
    const mustAnswer = sequence.lawful && way.data !== WAYS[1]!.data
    if (mustAnswer) {
      this.#lawful++
      await until('an answer', isAnswered, sequence)
      this.#served++
    }
    if (way.role === 'client') {
      peer.socket.end()
      await until('the end of the connection', () => peer.ended, sequence)
    }
    return sequence
  }

  /** What must hold whatever was sent: others are served, nothing is thrown, nobody works without reason. */
  async #look(): Promise<string[]> {
    const faults: string[] = []
    try {
      const { status } = await request(this.#port('plain'), get('/'))
      if (status !== 200) faults.push(`others were answered ${status}`)
    } catch (fault) {
      faults.push(`others were not served: ${(fault as Error).message}`)
    }
    for (const line of this.#log.splice(0)) {
      const { level, msg } = JSON.parse(line) as { level: string; msg: string }
      if (level === 'error' || level === 'fatal') faults.push(`it logged "${msg}": ${line.trim()}`)
    }
    let busy = 0
    while (busy < IDLE_TRIES && (await idleShare()) > MOST_IDLE_SHARE) busy++
    if (busy === IDLE_TRIES) faults.push('a thread works though nothing comes')
    return faults
  }
}

class Attack extends Error {
  readonly sequence: RecordSequence | undefined

  constructor(message: string, sequence: RecordSequence | undefined) {
    super(message)
    this.sequence = sequence
  }
}

async function until(what: string, holds: () => boolean, sequence?: RecordSequence): Promise<void> {
  const endMs = performance.now() + PROGRESS_MS
  while (!holds()) {
    if (performance.now() > endMs) throw new Attack(`${what}: not within ${PROGRESS_MS} ms`, sequence)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

function answered({ alpn }: Way, data: Buffer): boolean {
  if (alpn !== 'h2') return data.includes('200 OK') && (data.includes('yes') || data.length > BIG.length)
  for (let at = 0; at + 9 <= data.length; at += 9 + data.readUIntBE(at, 3)) {
    if (data[at + 3] === FRAME.HEADERS) return true
  }
  return false
}

/** Of one processor, by all threads of this process, while nothing happens. */
async function idleShare(): Promise<number> {
  const begun = process.cpuUsage()
  const begunMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000 / (performance.now() - begunMs)
}

function finding(way: Way | undefined, version: string, sequence: RecordSequence | undefined, fault: string): Finding {
  const kind = way === undefined ? 'afterwards' : `${way.role} ${way.name} ${way.alpn}`
  const input = Buffer.from((sequence?.steps ?? []).join(', '))
  return { kind, input, detail: `${version}${sequence?.lawful === true ? ', lawful' : ''}`, faults: [fault] }
}

function configBefore(files: { cert: string; key: string }, good: string, hostile: string): string {
  const tls = { certificates: [files] }
  const unwatched = { healthCheck: { protocol: 'off' }, outlierDetection: 'off' }
  const trusting = { tls: { verify: false }, ...unwatched, targets: [{ address: hostile }] }
  const listen = '127.0.0.1:0'
  return JSON.stringify({
    workers: 1,
    log: { level: 'info', access: 'off' },
    admin: { listen },
    listeners: [
      { name: 'secure', protocol: 'https', listen, tls, targetGroup: 'good' },
      { name: 'tunnel', protocol: 'tls', listen, tls, targetGroup: 'stream' },
      { name: 'plain', protocol: 'http', listen, targetGroup: 'good' },
      { name: 'before-https', protocol: 'http', listen, targetGroup: 'https' },
      { name: 'before-h2', protocol: 'http', listen, targetGroup: 'h2' },
      { name: 'before-tls', protocol: 'tcp', listen, targetGroup: 'tls' },
    ],
    targetGroups: [
      { name: 'good', protocol: 'http', targets: [{ address: good }] },
      { name: 'stream', protocol: 'tcp', targets: [{ address: good }] },
      { name: 'https', protocol: 'https', ...trusting },
      { name: 'h2', protocol: 'h2', ...trusting },
      { name: 'tls', protocol: 'tls', ...trusting },
    ],
  })
}
