import type { SecureVersion } from 'node:tls'
import { ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, type RecordKeys } from '../tls-peer/record-keys.js'

const KEY_UPDATE = 24
/** Messages of every kind, known and unknown, and those that only the other side or another version sends. */
const MESSAGES = [0, 1, 2, 4, 5, 8, 11, 12, 13, 14, 15, 16, 20, 24, 25, 67, 254, 255]
const MOST_STEPS = 12

/** What was sent behind a handshake. */
export interface RecordSequence {
  /** Sent one by one. */
  readonly segments: readonly Buffer[]
  /** Whoever follows RFC 8446 and RFC 5246 may send this, and all of `data` is in it. */
  readonly lawful: boolean
  /** To read. */
  readonly steps: readonly string[]
}

/** Makes records around `data` that hold to the rules, or do not. */
export class SequenceMaker {
  readonly #random: () => number
  readonly #keys: RecordKeys
  readonly #version: SecureVersion
  readonly #records: Buffer[] = []
  readonly #steps: string[] = []

  constructor(random: () => number, keys: RecordKeys, version: SecureVersion) {
    this.#random = random
    this.#keys = keys
    this.#version = version
  }

  make(data: Buffer): RecordSequence {
    const lawful = this.#random() < 0.3
    let rest = data
    const spoiltAt = lawful ? -1 : this.#below(MOST_STEPS)
    for (let step = 0; step < MOST_STEPS || rest.length > 0; step++) {
      if (step === spoiltAt || (!lawful && step > spoiltAt && this.#random() < 0.3)) this.#add(...this.#spoilt(rest))
      else if (rest.length > 0 && this.#random() < 0.6) {
        const length = step >= MOST_STEPS ? rest.length : 1 + this.#below(rest.length)
        this.#data(rest.subarray(0, length))
        rest = rest.subarray(length)
      } else this.#fill()
    }
    return { segments: this.#cut(lawful), lawful, steps: this.#steps }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#below(256)))
  }

  #add(step: string, ...records: readonly Buffer[]): void {
    this.#steps.push(step)
    this.#records.push(...records)
  }

  #data(content: Buffer): void {
    const padding = this.#version === 'TLSv1.3' && this.#random() < 0.2 ? this.#below(500) : 0
    this.#add(`data ${content.length}+${padding}`, this.#keys.seal(APPLICATION_DATA, content, padding))
  }

  /** Something that is allowed and brings no data. */
  #fill(): void {
    if (this.#version !== 'TLSv1.3' || this.#random() < 0.3) {
      this.#add('empty', this.#keys.seal(APPLICATION_DATA, Buffer.alloc(0)))
      return
    }
    const message = Buffer.of(KEY_UPDATE, 0, 0, 1, this.#below(2))
    const at = this.#below(message.length)
    const parts = at === 0 ? [message] : [message.subarray(0, at), message.subarray(at)]
    const records = parts.map((part) => this.#keys.seal(HANDSHAKE, part))
    this.#keys.update()
    this.#add(`key update in ${parts.length}`, ...records)
  }

  /** Something that is not allowed, or not then. */
  #spoilt(rest: Buffer): [step: string, ...records: Buffer[]] {
    const keys = this.#keys
    switch (this.#below(14)) {
      case 0:
        return ['fatal alert', keys.seal(ALERT, Buffer.of(2, this.#below(256)))]
      case 1:
        return ['warning', keys.seal(ALERT, Buffer.of(1, 1 + this.#below(255)))]
      case 2:
        return ['close_notify', keys.seal(ALERT, Buffer.of(1, 0))]
      case 3:
        return ['odd alert', keys.seal(ALERT, this.#bytes(this.#below(5)))]
      case 4: {
        const message = Buffer.of(KEY_UPDATE, 0, 0, 1, this.#below(2))
        return ['part of a key update', keys.seal(HANDSHAKE, message.subarray(0, 1 + this.#below(4)))]
      }
      case 5: {
        const type = MESSAGES[this.#below(MESSAGES.length)]!
        const body = this.#bytes(this.#below(100))
        const length = this.#random() < 0.7 ? body.length : this.#below(2 ** 24)
        const header = Buffer.of(type, length >> 16, (length >> 8) & 255, length & 255)
        return [`message ${type}`, keys.seal(HANDSHAKE, Buffer.concat([header, body]))]
      }
      case 6: {
        const record = keys.seal(APPLICATION_DATA, rest.length > 0 ? rest : Buffer.of(0))
        record[this.#below(record.length)]! ^= 1 << this.#below(8)
        return ['spoilt record', record]
      }
      case 7: {
        const record = keys.seal(APPLICATION_DATA, this.#bytes(50))
        return ['the same record twice', record, record]
      }
      case 8: {
        const record = keys.seal(APPLICATION_DATA, this.#bytes(50))
        return ['cut record', record.subarray(0, this.#below(record.length))]
      }
      case 9:
        return ['record of another type', keys.seal(this.#below(256), this.#bytes(this.#below(40)))]
      case 10:
        return ['change of cipher', Buffer.of(CHANGE_CIPHER_SPEC, 3, 3, 0, 1, this.#below(3))]
      case 11: {
        const body = this.#bytes(this.#below(60))
        const type = [ALERT, HANDSHAKE, APPLICATION_DATA][this.#below(3)]!
        return ['record in clear', Buffer.concat([Buffer.of(type, 3, 3, 0, body.length), body])]
      }
      case 12:
        return ['no record', this.#bytes(1 + this.#below(200))]
      default: {
        const many = 30 + this.#below(60)
        const empty = (): Buffer => keys.seal(this.#random() < 0.9 ? APPLICATION_DATA : ALERT, Buffer.alloc(0))
        return [`${many} empty`, ...Array.from({ length: many }, empty)]
      }
    }
  }

  /** The stream in pieces: mostly whole, so that one read brings all of it. */
  #cut(lawful: boolean): Buffer[] {
    const stream = Buffer.concat(this.#records)
    if (this.#random() < (lawful ? 0.4 : 0.7)) return [stream]
    const pieces: Buffer[] = []
    for (let at = 0; at < stream.length; ) {
      const length = this.#random() < 0.1 ? 1 : 1 + this.#below(stream.length - at)
      pieces.push(stream.subarray(at, at + length))
      at += length
    }
    return pieces
  }
}
