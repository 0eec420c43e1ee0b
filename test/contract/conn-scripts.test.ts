import fc from 'fast-check'
import t from 'tap'
import { ManualClock } from '../../src/core/clock.js'
import type { Conn } from '../../src/core/conn.js'
import { nativeAddon } from '../../src/native/addon.js'
import { MemoryTransport } from '../memory/memory-transport.js'
import { SEED } from '../random.js'
import { IMPLEMENTATIONS, type Rig } from './conn-rigs.js'
import { pattern, Recorder } from './recorder.js'

interface Action {
  readonly side: 0 | 1
  readonly act: 'write' | 'pause' | 'resume' | 'end' | 'close' | 'abort'
  readonly bytes: number
}

const ACTS = ['write', 'write', 'write', 'write', 'pause', 'resume', 'resume', 'end', 'close', 'abort'] as const

function scripts(maxBytes: number): fc.Arbitrary<Action[]> {
  const action = fc.record<Action>({
    side: fc.constantFrom(0 as const, 1 as const),
    act: fc.constantFrom(...ACTS),
    bytes: fc.integer({ min: 1, max: maxBytes }),
  })
  return fc.array(action, { minLength: 1, maxLength: 14 })
}

/** Two ends of one connection and what happened to each. */
class Ends {
  readonly recorders = [new Recorder(), new Recorder()] as const
  conns!: readonly [Conn, Conn]
  readonly written: [number, number] = [0, 0]
  readonly answers: boolean[] = []

  apply({ side, act, bytes }: Action): void {
    const conn = this.conns[side]
    if (act !== 'write') {
      conn[act]()
      return
    }
    const refuses = conn.closed
    const lent = pattern(bytes, this.written[side])
    this.answers.push(conn.write(lent, 0, bytes))
    lent.fill(0)
    if (!refuses) this.written[side] += bytes
  }

  /** All that can be seen from outside. */
  observe(): string {
    const sides = this.recorders.map(({ log, bytes }, side) => {
      const { closed, bytesRead, bytesWritten } = this.conns[side]!
      return { log: log.filter((entry) => entry !== 'open'), bytes, closed, bytesRead, bytesWritten }
    })
    return JSON.stringify({ sides, answers: this.answers })
  }

  /** What arrived is what was written from its beginning on. */
  checkBytes(): void {
    for (const side of [0, 1] as const) {
      const { received } = this.recorders[side]
      if (!received.equals(pattern(received.length))) throw new Error(`side ${side} received other bytes`)
      if (received.length > this.conns[1 - side]!.bytesWritten) throw new Error(`side ${side} received too many bytes`)
    }
  }
}

/** Waits for the rest of what the model says to happen, and a little longer for what it does not. */
async function settleTo(expected: string, ends: Ends, rig: Rig): Promise<void> {
  for (let look = 0; look < 50 && ends.observe() !== expected; look++) await rig.settle()
}

const skip = nativeAddon() === undefined && 'the addon is not built'
const native = IMPLEMENTATIONS.find(({ name }) => name === 'native')!

t.test('a thousand random scripts end as they do in the model', { skip }, async (t) => {
  t.comment(`seed ${SEED}`)
  const rig = native.open()
  t.teardown(() => rig.close())
  await fc.assert(
    fc.asyncProperty(scripts(3_000), async (script) => {
      const memory = new MemoryTransport(new ManualClock(), { capacityBytes: 1_000_000 })
      const model = new Ends()
      model.conns = memory.pair(...model.recorders)
      const real = new Ends()
      real.conns = await rig.connect(...real.recorders)
      for (const action of script) {
        model.apply(action)
        memory.flush()
        real.apply(action)
        await rig.settle()
        await settleTo(model.observe(), real, rig)
        if (real.observe() !== model.observe())
          throw new Error(`after ${JSON.stringify(action)}:\n${real.observe()}\nmodel:\n${model.observe()}`)
      }
      real.checkBytes()
      for (const conn of real.conns) conn.abort()
    }),
    { seed: SEED, numRuns: 1_000 },
  )
  t.equal(rig.dialling.size, 2, 'nothing is left but the connection of the rig itself')
  t.same(rig.faults, [])
})

for (const { name, available, open } of IMPLEMENTATIONS) {
  t.test(`${name}: without a moment’s rest nothing is lost, doubled or told twice`, { skip: !available }, async (t) => {
    t.comment(`seed ${SEED}`)
    const rig = open()
    t.teardown(() => rig.close())
    await fc.assert(
      fc.asyncProperty(scripts(400_000), fc.boolean(), async (script, orderly) => {
        const ends = new Ends()
        ends.conns = await rig.connect(...ends.recorders)
        for (const action of script) {
          if (orderly && ['end', 'close', 'abort'].includes(action.act)) continue
          ends.apply(action)
        }
        for (const conn of ends.conns) conn.resume()
        for (const conn of ends.conns) orderly ? conn.end() : conn.close()
        for (const recorder of ends.recorders) await recorder.untilLogged('close')
        ends.checkBytes()
        for (const [side, { log, cause, bytes }] of ends.recorders.entries()) {
          const count = (what: string) => log.filter((entry) => entry.startsWith(what)).length
          if (count('close') !== 1 || !log.at(-1)!.startsWith('close')) throw new Error(`closed wrongly: ${log}`)
          if (count('end') > 1) throw new Error(`ended twice: ${log}`)
          if (!orderly) continue
          if (cause !== undefined) throw cause
          if (bytes !== ends.written[1 - side]) throw new Error(`lost ${ends.written[1 - side]! - bytes} bytes`)
        }
      }),
      { seed: SEED, numRuns: 80 },
    )
    t.same(rig.faults, [])
  })
}
