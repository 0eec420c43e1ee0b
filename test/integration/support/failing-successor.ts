import { writeSync } from 'node:fs'
import { Predecessor, type Takeover } from '../../../src/control/upgrade/predecessor.js'
import { nativeAddon } from '../../../src/native/addon.js'

/** Where a new program fails; `hang` never says anything, `endless` begins a message that has no end. */
export type Failure = 'start' | 'hello' | 'prepared' | 'take' | 'serving' | 'hang' | 'endless'

const die = (): never => {
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const ignore: Takeover = { state: async () => {}, sessions() {} }

/** A new program that takes over as the product does, up to where it fails. */
export async function failAt(where: Failure): Promise<void> {
  const hold = setInterval(() => {}, 1_000)
  if (where === 'start') process.exit(3)
  if (where === 'hang') return
  if (where === 'endless') {
    writeSync(3, Uint8Array.of(0xff, 0xff, 0xff, 0xff))
    return
  }
  const predecessor = Predecessor.find(process.env, nativeAddon())!
  await predecessor.begin('0.0.0')
  if (where === 'hello') die()
  await predecessor.takeOver(where === 'prepared' ? { ...ignore, state: async () => die() } : ignore)
  if (where === 'take') die()
  void predecessor.serving(ignore)
  setTimeout(die, 100)
  clearInterval(hold)
}
