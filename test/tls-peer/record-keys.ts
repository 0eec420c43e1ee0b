import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'

/** Content types, RFC 8446 5.1. */
export const CHANGE_CIPHER_SPEC = 20
export const ALERT = 21
export const HANDSHAKE = 22
export const APPLICATION_DATA = 23

/** Bytes in front of each record: type, version, length. */
export const HEADER_BYTES = 5
const KEY_BYTES = 16
const TAG_BYTES = 16
const HASH_BYTES = 32

export interface Opened {
  readonly type: number
  readonly content: Buffer
}

/** Protects the records of one direction with AES-128-GCM and SHA-256, and counts them. */
export interface RecordKeys {
  /** A whole record with this content; `padding` zeros are hidden in it where the version has padding. */
  seal(type: number, content: Uint8Array, padding?: number): Buffer
  /** What is in a record; undefined, and not counted, when these keys do not fit it. */
  open(record: Buffer): Opened | undefined
  /** The keys after these, RFC 8446 7.2; where the version knows no such change, nothing happens. */
  update(): void
}

function sequenceBytes(sequence: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(sequence))
  return bytes
}

function encrypt(key: Buffer, nonce: Buffer, aad: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(aad)
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const at = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-128-gcm', key, nonce).setAAD(aad).setAuthTag(sealed.subarray(at))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, at)), decipher.final()])
  } catch {
    return undefined
  }
}

/** RFC 8446 7.1, for no more than one hash's worth. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0, 1)])
  return createHmac('sha256', secret).update(info).digest().subarray(0, length)
}

/** TLS 1.3, from a traffic secret. */
export class Tls13Keys implements RecordKeys {
  #secret: Buffer
  #key: Buffer
  #iv: Buffer
  #sequence = 0

  constructor(secret: Buffer) {
    this.#secret = secret
    this.#key = expandLabel(secret, 'key', KEY_BYTES)
    this.#iv = expandLabel(secret, 'iv', 12)
  }

  seal(type: number, content: Uint8Array, padding = 0): Buffer {
    const plain = Buffer.concat([content, Buffer.of(type), Buffer.alloc(padding)])
    const header = Buffer.of(APPLICATION_DATA, 3, 3, 0, 0)
    header.writeUInt16BE(plain.length + TAG_BYTES, 3)
    const sealed = encrypt(this.#key, this.#nonce(), header, plain)
    this.#sequence++
    return Buffer.concat([header, sealed])
  }

  open(record: Buffer): Opened | undefined {
    if (record[0] !== APPLICATION_DATA) return undefined
    const header = record.subarray(0, HEADER_BYTES)
    const plain = decrypt(this.#key, this.#nonce(), header, record.subarray(HEADER_BYTES))
    if (plain === undefined) return undefined
    this.#sequence++
    let end = plain.length - 1
    while (end > 0 && plain[end] === 0) end--
    return { type: plain[end]!, content: plain.subarray(0, end) }
  }

  update(): void {
    this.#secret = expandLabel(this.#secret, 'traffic upd', HASH_BYTES)
    this.#key = expandLabel(this.#secret, 'key', KEY_BYTES)
    this.#iv = expandLabel(this.#secret, 'iv', 12)
    this.#sequence = 0
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv)
    const sequence = sequenceBytes(this.#sequence)
    for (let i = 0; i < 8; i++) nonce[4 + i]! ^= sequence[i]!
    return nonce
  }
}

/** TLS 1.2, from a write key and its implicit nonce (RFC 5288 3). */
export class Tls12Keys implements RecordKeys {
  readonly #key: Buffer
  readonly #salt: Buffer
  #sequence = 0

  constructor(key: Buffer, salt: Buffer) {
    this.#key = key
    this.#salt = salt
  }

  seal(type: number, content: Uint8Array): Buffer {
    const explicit = sequenceBytes(this.#sequence)
    const nonce = Buffer.concat([this.#salt, explicit])
    const sealed = encrypt(this.#key, nonce, this.#associated(type, content.length), Buffer.from(content))
    this.#sequence++
    const header = Buffer.of(type, 3, 3, 0, 0)
    header.writeUInt16BE(explicit.length + sealed.length, 3)
    return Buffer.concat([header, explicit, sealed])
  }

  open(record: Buffer): Opened | undefined {
    const type = record[0]!
    const length = record.length - HEADER_BYTES - 8 - TAG_BYTES
    if (length < 0) return undefined
    const nonce = Buffer.concat([this.#salt, record.subarray(HEADER_BYTES, HEADER_BYTES + 8)])
    const content = decrypt(this.#key, nonce, this.#associated(type, length), record.subarray(HEADER_BYTES + 8))
    if (content === undefined) return undefined
    this.#sequence++
    return { type, content }
  }

  update(): void {}

  #associated(type: number, length: number): Buffer {
    return Buffer.concat([sequenceBytes(this.#sequence), Buffer.of(type, 3, 3, length >> 8, length & 0xff)])
  }
}

/** RFC 5246 5, with SHA-256. */
function prf(secret: Buffer, label: string, seed: Buffer, length: number): Buffer {
  const hmac = (data: Buffer): Buffer => createHmac('sha256', secret).update(data).digest()
  const whole = Buffer.concat([Buffer.from(label), seed])
  let a = hmac(whole)
  let made = hmac(Buffer.concat([a, whole]))
  while (made.length < length) {
    a = hmac(a)
    made = Buffer.concat([made, hmac(Buffer.concat([a, whole]))])
  }
  return made.subarray(0, length)
}

/** RFC 5246 6.3: the client's and the server's keys. */
export function tls12Keys(master: Buffer, clientRandom: Buffer, serverRandom: Buffer): [Tls12Keys, Tls12Keys] {
  const seed = Buffer.concat([serverRandom, clientRandom])
  const block = prf(master, 'key expansion', seed, 2 * KEY_BYTES + 8)
  const salts = block.subarray(2 * KEY_BYTES)
  return [
    new Tls12Keys(block.subarray(0, KEY_BYTES), salts.subarray(0, 4)),
    new Tls12Keys(block.subarray(KEY_BYTES, 2 * KEY_BYTES), salts.subarray(4)),
  ]
}
