import { pack } from 'msgpackr'
import { stampAt } from '../../src/core/hybrid-clock.js'
import type { SessionEntry } from '../../src/core/mesh.js'
import { MAX_FRAME_BYTES } from '../../src/mesh/reply-filter.js'
import { Sealer } from '../../src/mesh/seal.js'
import { GROUP, MeshHost, TARGET } from './mesh-host.js'
import { checkReplies } from './redis-replies.js'
import type { Finding, FuzzSubject } from './subject.js'

const SECRET = 'the secret of this cluster'
const ROUND = { rows: 60, payloads: 60, unsealed: 60, replies: 20 }
/** A new host now and then: what one keeps must not hide what the next frame does. */
const FRAMES_A_HOST = 5_000

/** What may stand where a field should. */
const ODD: readonly unknown[] = [
  null,
  true,
  false,
  -1,
  0,
  1,
  7,
  0.5,
  100,
  101,
  1e9,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  1e300,
  8.64e15,
  8.64e15 + 1e3,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  '',
  'active',
  'web',
  '\u001b[2J',
  'a\nb',
  '../..',
  '__proto__',
  'x'.repeat(400),
  10n ** 18n,
  [],
  [[]],
  [0, 0, 0, 0],
  {},
  { length: 16 },
  { __proto__: 1 },
  new Date(0),
  new Map([[1, 2]]),
  new Set([1]),
  /a+/,
  new Error('e'),
  Buffer.alloc(0),
  Buffer.alloc(15),
  Buffer.alloc(16),
  Buffer.alloc(80),
  Buffer.alloc(81),
  Buffer.alloc(80 * 17),
]

type Row = unknown[]

/** Frames as a peer, a peer of another version, a peer gone mad or somebody without the secret would put them into Redis. */
class RedisFrames implements FuzzSubject {
  readonly name = 'redis'
  readonly #random: () => number
  readonly #peer = new Sealer(SECRET)
  readonly #stranger = new Sealer('another secret')
  #host = new MeshHost(SECRET)
  #frames = 0
  #markers = 0

  constructor(random: () => number) {
    this.#random = random
  }

  async round(report: (finding: Finding) => void): Promise<number> {
    for (let n = 0; n < ROUND.rows; n++) this.#oddRows(report)
    for (let n = 0; n < ROUND.payloads; n++)
      this.#show('payload', this.#peer.seal(this.#spoil(pack(this.#frame()))), report)
    for (let n = 0; n < ROUND.unsealed; n++) this.#unsealed(report)
    for (let n = 0; n < ROUND.replies; n++) checkReplies(this.#random, report)
    return ROUND.rows + ROUND.payloads + ROUND.unsealed + ROUND.replies
  }

  async stop(): Promise<void> {}

  /** Rows with odd fields, and between them one that is right: it must be taken. */
  #oddRows(report: (finding: Finding) => void): void {
    const frame = this.#frame()
    const marker = this.#marker()
    for (let spoilt = 1 + this.#below(6); spoilt > 0; spoilt--) {
      const rows = frame[5 + this.#below(4)] as Row[]
      const row = rows[this.#below(rows.length)]
      if (row === undefined) continue
      if (this.#random() < 0.1) row.length = this.#below(row.length + 1)
      else row[this.#below(row.length + 1)] = this.#odd()
    }
    if (this.#random() < 0.2) frame[3] = this.#odd()
    if (this.#random() < 0.1) frame[6 + this.#below(3)] = this.#odd()
    if (this.#random() < 0.1) frame.push(this.#odd())
    if (this.#random() < 0.1) (frame[4] as unknown[]).push(this.#odd(), this.#odd())
    const sessions = frame[5] as Row[]
    const key = Buffer.from(marker.key.buffer)
    const right = [key, 0, 1, marker.expiresMs, marker.touchedMs, marker.high, marker.low]
    sessions.splice(this.#below(sessions.length + 1), 0, right)
    let payload: Buffer
    try {
      payload = pack(frame)
    } catch {
      return
    }
    const { counts } = this.#host.replica
    const before = { ...counts }
    this.#show('rows', this.#peer.seal(payload), report, () => {
      if (counts.unreadable > before.unreadable) return []
      const found: string[] = []
      if (!this.#host.knows(marker)) found.push('the right row beside them was not taken')
      const dealtWith =
        counts.entriesIn + counts.invalid + counts.newer - before.entriesIn - before.invalid - before.newer
      if (dealtWith < 1) found.push('nothing was counted')
      return found
    })
  }

  /** A right frame of every kind of rows, by a peer. */
  #frame(): unknown[] {
    const { wallMs } = this.#host.clock
    const stamp = this.#stamp()
    const some = (row: () => Row): Row[] => Array.from({ length: this.#below(4) }, row)
    return [
      `peer${this.#below(3)}`,
      `boot ${this.#below(2)}`,
      wallMs - this.#below(2_000),
      this.#random() < 0.5 ? null : ['1.2.3', this.#random() < 0.1, ['skips-rows']],
      [GROUP, TARGET, '', 'elsewhere'],
      some(() => [this.#bytes(16), 0, 1 + this.#below(2), wallMs + 60_000, wallMs, ...stamp]),
      some(() => [0, 1, this.#below(3), this.#below(102) - 1, wallMs, ...stamp]),
      some(() => [this.#bytes(80 * (1 + this.#below(3))), ...stamp]),
      some(() => [0, 1, this.#below(4), this.#below(10)]),
    ]
  }

  #marker(): SessionEntry {
    const { wallMs } = this.#host.clock
    const [high, low] = this.#stamp()
    const key = Int32Array.of(++this.#markers, 0x6d61726b, 0, 0)
    return {
      kind: 'session',
      key,
      group: GROUP,
      target: TARGET,
      expiresMs: wallMs + 60_000,
      touchedMs: wallMs,
      high,
      low,
    }
  }

  #unsealed(report: (finding: Finding) => void): void {
    const sealed = (this.#random() < 0.5 ? this.#peer : this.#stranger).seal(pack(this.#frame()))
    const choice = this.#below(5)
    const frame =
      choice === 0
        ? this.#bytes(this.#below(300))
        : choice === 1
          ? sealed.subarray(0, this.#below(sealed.length))
          : choice === 2
            ? Buffer.alloc(MAX_FRAME_BYTES + this.#below(3) - 1, 1)
            : this.#spoil(sealed)
    const before = { ...this.#host.replica.counts }
    this.#show('unsealed', frame, report, () => {
      const { framesIn, forged, unreadable, oversize, entriesIn } = this.#host.replica.counts
      const dropped = forged + unreadable + oversize - before.forged - before.unreadable - before.oversize
      if (framesIn - before.framesIn !== 1 || dropped !== 1)
        return [`${dropped} were dropped of ${framesIn - before.framesIn}`]
      return entriesIn === before.entriesIn ? [] : ['something of it was taken']
    })
  }

  #show(kind: string, frame: Buffer, report: (finding: Finding) => void, check: () => string[] = () => []): void {
    const faults: string[] = []
    try {
      this.#host.replica.onFrame(frame)
      faults.push(...check())
      faults.push(...this.#host.faults())
      if (this.#random() < 0.01) {
        this.#host.pass()
        faults.push(...this.#host.sessionFaults())
      }
    } catch (error) {
      faults.push(`threw ${error instanceof Error ? error.stack : String(error)}`)
    }
    if (faults.length > 0) report({ kind, input: frame, detail: `secret ${JSON.stringify(SECRET)}`, faults })
    if (faults.length > 0 || ++this.#frames % FRAMES_A_HOST === 0) this.#host = new MeshHost(SECRET)
  }

  #spoil(bytes: Buffer): Buffer {
    const spoilt = Buffer.from(bytes)
    for (let n = 1 + this.#below(4); n > 0; n--) {
      spoilt[this.#below(spoilt.length)]! ^= 1 + this.#below(255)
    }
    return this.#random() < 0.1 ? Buffer.concat([spoilt, this.#bytes(this.#below(20))]) : spoilt
  }

  #odd(): unknown {
    return ODD[this.#below(ODD.length)]
  }

  #stamp(): [number, number] {
    const stamp = { high: 0, low: 0 }
    stampAt(this.#host.clock.wallMs, stamp)
    return [stamp.high, (stamp.low + this.#below(4_000_000)) | 0]
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#below(256)))
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

export async function startRedisFrames(random: () => number): Promise<FuzzSubject> {
  return new RedisFrames(random)
}
