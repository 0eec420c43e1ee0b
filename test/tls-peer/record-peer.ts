import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect, createServer, type SecureVersion, type TLSSocket, type TlsOptions } from 'node:tls'
import { APPLICATION_DATA, HANDSHAKE, type Opened, type RecordKeys, Tls13Keys, tls12Keys } from './record-keys.js'
import { RecordReader, Wire } from './wire.js'

/** Suites that the keys know: AES-128-GCM with SHA-256. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'
/** Where the random is in a hello that is the first of its record: behind two headers and a version. */
const RANDOM_AT = 5 + 4 + 2
const TICKETS_A_HANDSHAKE = 2

export interface PeerOptions {
  readonly version: SecureVersion
  readonly alpn?: readonly string[]
}

/** Secrets of one connection by their label, as `SSLKEYLOGFILE` has them. */
type Secrets = Map<string, Buffer>

function learn(secrets: Secrets, line: Buffer): void {
  const [label, random, secret] = line.toString('latin1').trim().split(' ')
  secrets.set(label!, Buffer.from(secret!, 'hex'))
  secrets.set(`${label} random`, Buffer.from(random!, 'hex'))
}

/** The client's and the server's keys. */
function keysOf(secrets: Secrets, serverHello: Buffer): [RecordKeys, RecordKeys] {
  const master = secrets.get('CLIENT_RANDOM')
  if (master !== undefined) {
    const serverRandom = serverHello.subarray(RANDOM_AT, RANDOM_AT + 32)
    return tls12Keys(master, secrets.get('CLIENT_RANDOM random')!, serverRandom)
  }
  return [
    new Tls13Keys(secrets.get('CLIENT_TRAFFIC_SECRET_0')!),
    new Tls13Keys(secrets.get('SERVER_TRAFFIC_SECRET_0')!),
  ]
}

/** A peer that did a proper handshake, and from then on sends whatever records it is told to. */
export class RecordPeer {
  readonly socket: Socket
  /** Protects what this side sends. */
  readonly keys: RecordKeys
  /** All that the other side sent since the handshake and could be opened. */
  readonly opened: Opened[] = []
  /** Records behind the first of those that could not. */
  spoilt = 0
  /** Called for each that could be opened. */
  onOpened: () => void = () => {}
  #ended = false

  constructor(socket: Socket, wire: Wire, keys: RecordKeys, theirKeys: RecordKeys) {
    this.socket = socket
    this.keys = keys
    // Records of the handshake do not open; those behind it count.
    new RecordReader().feed(Buffer.concat(wire.sent), (record) => void keys.open(record))
    const reader = new RecordReader()
    const take = (bytes: Buffer): void => {
      reader.feed(bytes, (record) => {
        const opened = theirKeys.open(record)
        if (opened === undefined) {
          if (this.opened.length > 0) this.spoilt++
          return
        }
        this.opened.push(opened)
        // RFC 8446 4.6.3: the keys change behind it.
        if (opened.type === HANDSHAKE && opened.content[0] === 24) theirKeys.update()
        this.onOpened()
      })
    }
    take(Buffer.concat(wire.received))
    wire.cut()
    socket.on('data', take)
    socket.on('error', () => {})
    socket.on('close', () => (this.#ended = true))
    socket.on('end', () => (this.#ended = true))
  }

  /** A client of whoever listens at `port`. */
  static async connect(port: number, options: PeerOptions): Promise<RecordPeer> {
    const socket = connectPlain(port, '127.0.0.1')
    await once(socket, 'connect')
    const wire = new Wire(socket)
    const secrets: Secrets = new Map()
    const tls = connect({
      socket: wire as unknown as Socket,
      rejectUnauthorized: false,
      servername: 'localhost',
      ciphers: CIPHERS,
      minVersion: options.version,
      maxVersion: options.version,
      ALPNProtocols: [...(options.alpn ?? [])],
    })
    tls.on('keylog', (line: Buffer) => learn(secrets, line))
    tls.on('error', () => {})
    await once(tls, 'secureConnect')
    const isFinished = (): boolean => {
      let protectedRecords = 0
      new RecordReader().feed(Buffer.concat(wire.sent), (record) => {
        if (record[0] === APPLICATION_DATA) protectedRecords++
      })
      return options.version !== 'TLSv1.3' || protectedRecords > 0
    }
    while (!isFinished()) await once(wire, 'sent')
    const [own, theirs] = keysOf(secrets, Buffer.concat(wire.received))
    return new RecordPeer(socket, wire, own, theirs)
  }

  /** The server of a connection that was just accepted. */
  static async accept(socket: Socket, credentials: TlsOptions, options: PeerOptions): Promise<RecordPeer> {
    const wire = new Wire(socket)
    const secrets: Secrets = new Map()
    const server = createServer({
      ...credentials,
      ciphers: CIPHERS,
      minVersion: options.version,
      maxVersion: options.version,
      ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
    })
    server.on('keylog', (line: Buffer) => learn(secrets, line))
    server.on('secureConnection', (tls: TLSSocket) => tls.on('error', () => {}))
    server.emit('connection', wire)
    await once(server, 'secureConnection')
    const areTicketsSent = (): boolean => {
      let records = 0
      const [, own] = keysOf(secrets, Buffer.concat(wire.sent))
      new RecordReader().feed(Buffer.concat(wire.sent), (record) => {
        if (own.open(record) !== undefined) records++
      })
      return records >= (options.version === 'TLSv1.3' ? TICKETS_A_HANDSHAKE : 1)
    }
    while (!areTicketsSent()) await once(wire, 'sent')
    const [theirs, own] = keysOf(secrets, Buffer.concat(wire.sent))
    return new RecordPeer(socket, wire, own, theirs)
  }

  /** Data that the other side sent. */
  get data(): Buffer {
    return Buffer.concat(this.opened.filter(({ type }) => type === APPLICATION_DATA).map(({ content }) => content))
  }

  /** The other side has closed the connection, or its half of it. */
  get ended(): boolean {
    return this.#ended
  }

  /** All of it in one segment, as far as that goes. */
  send(...records: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(records))
  }

  close(): void {
    this.socket.destroy()
  }
}
