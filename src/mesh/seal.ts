import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/**
 * A frame: version (1 byte), the sending process's random id (16), the frame's number (6, big-endian), AES-256-GCM
 * ciphertext, tag (16). The key is made from the cluster's secret and the sender's id, so that a number, which is the
 * nonce, is never used twice with a key. Drawn in docs/WIRE.md.
 */
export const FRAME_VERSION = 1
const SENDER_BYTES = 16
const NUMBER_BYTES = 6
const HEADER_BYTES = 1 + SENDER_BYTES + NUMBER_BYTES
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
/** Senders whose keys are kept: processes, not hosts, so that those long gone are forgotten. */
const KEPT_KEYS = 1024

/** What a frame holds, and who sealed it: a process, whose frames are numbered upwards. */
export interface OpenedFrame {
  readonly payload: Buffer
  readonly sender: string
  readonly number: number
}

/** Why a frame is not looked at. */
export type FrameFault = 'version' | 'forged'

/** Seals what is sent and opens what comes: who lacks the secret can neither read a frame nor write one. */
export class Sealer {
  readonly #secret: string
  readonly #sender = randomBytes(SENDER_BYTES)
  readonly #key: Buffer
  readonly #keys = new Map<string, Buffer>()
  #number = 0
  /** Of the last `open` that gave nothing. */
  fault: FrameFault = 'forged'

  constructor(secret: string) {
    this.#secret = secret
    this.#key = this.#derive(this.#sender)
  }

  seal(payload: Uint8Array): Buffer {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length + TAG_BYTES)
    frame[0] = FRAME_VERSION
    this.#sender.copy(frame, 1)
    frame.writeUIntBE(++this.#number, 1 + SENDER_BYTES, NUMBER_BYTES)
    const header = frame.subarray(0, HEADER_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, nonce(header))
    cipher.setAAD(header)
    cipher.update(payload).copy(frame, HEADER_BYTES)
    cipher.final()
    cipher.getAuthTag().copy(frame, HEADER_BYTES + payload.length)
    return frame
  }

  /** Undefined, and `fault` says why, where the frame is none of ours. */
  open(frame: Uint8Array): OpenedFrame | undefined {
    this.fault = 'version'
    if (frame[0] !== FRAME_VERSION) return undefined
    this.fault = 'forged'
    if (frame.length < HEADER_BYTES + TAG_BYTES) return undefined
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length)
    const header = bytes.subarray(0, HEADER_BYTES)
    const end = bytes.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, this.#keyOf(bytes.subarray(1, 1 + SENDER_BYTES)), nonce(header))
    decipher.setAAD(header)
    decipher.setAuthTag(bytes.subarray(end))
    const payload = decipher.update(bytes.subarray(HEADER_BYTES, end))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    const sender = bytes.toString('latin1', 1, 1 + SENDER_BYTES)
    return { payload, sender, number: bytes.readUIntBE(1 + SENDER_BYTES, NUMBER_BYTES) }
  }

  /** Whether this process sealed it. */
  isOwn(frame: Uint8Array): boolean {
    return frame.length > HEADER_BYTES && this.#sender.equals(frame.subarray(1, 1 + SENDER_BYTES))
  }

  #keyOf(sender: Buffer): Buffer {
    const name = sender.toString('latin1')
    let key = this.#keys.get(name)
    if (key === undefined) {
      key = this.#derive(sender)
      if (this.#keys.size >= KEPT_KEYS) this.#keys.delete(this.#keys.keys().next().value!)
      this.#keys.set(name, key)
    }
    return key
  }

  #derive(sender: Uint8Array): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#secret, sender, 'castor mesh frames', 32))
  }
}

/** Twelve bytes: the frame's number behind zeros. */
function nonce(header: Buffer): Buffer {
  const bytes = Buffer.alloc(12)
  header.copy(bytes, 12 - NUMBER_BYTES, HEADER_BYTES - NUMBER_BYTES)
  return bytes
}
