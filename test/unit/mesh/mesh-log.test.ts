import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import type { Logger } from '../../../src/observe/log.js'
import { MeshLog } from '../../../workers/mesh/mesh-log.js'

function rig(): { clock: ManualClock; said: MeshLog; lines: string[] } {
  const lines: string[] = []
  const line = (fields: unknown, message?: string): void => {
    lines.push(message === undefined ? String(fields) : `${message} ${JSON.stringify(fields)}`)
  }
  const clock = new ManualClock()
  return { clock, said: new MeshLog({ info: line, warn: line } as unknown as Logger, clock), lines }
}

t.test('a Redis that comes and goes all the time is said once a minute, one that is gone once', async (t) => {
  const { clock, said, lines } = rig()
  for (let n = 0; n < 600; n++) {
    said.link(true, '')
    said.link(false, 'connection reset')
    clock.advance(100)
  }
  t.same(lines.length, 3, lines.join())
  clock.advance(1)
  said.link(true, '')
  said.link(false, 'connection reset')
  t.match(lines.slice(3), [/^Redis is gone.*"leftOut":599/])
  for (let n = 0; n < 1_000; n++) {
    clock.advance(1_000)
    said.link(false, 'connection reset')
  }
  t.equal(lines.length, 4, 'nothing new')
  said.link(false, 'out of memory')
  said.link(true, '')
  t.match(lines.slice(4), [/out of memory/, 'Redis is there'])
})

t.test('whoever answers in ever new words cannot fill the log', async (t) => {
  const { clock, said, lines } = rig()
  for (let n = 0; n < 10_000; n++) {
    said.link(false, `reason ${n}`)
    clock.advance(1)
  }
  t.ok(lines.length < 50, `${lines.length} lines`)
})

t.test('rows that were skipped are said once a minute', async (t) => {
  const { clock, said, lines } = rig()
  const skipped = { faults: { invalid: 2, newer: 0 }, firstFault: { kind: 'session', fault: 'invalid' } } as const
  for (let n = 0; n < 61; n++) {
    said.skipped('lb-b', skipped)
    clock.advance(1_000)
  }
  t.same(lines.length, 2)
  t.match(lines[1], /"peer":"lb-b","kind":"session","invalid":2,"newer":0,"leftOut":59/)
})

t.test('what makes sharing wrong is said when it begins, and when it begins again', async (t) => {
  const { clock, said, lines } = rig()
  const fine = { impostor: undefined, doubled: [], forgedLately: false, evictionPolicy: '' }
  const wrong = { impostor: 'boot', doubled: ['lb-b'], forgedLately: true, evictionPolicy: 'allkeys-lru' }
  for (const state of [fine, wrong, wrong, fine]) {
    said.sharing(state)
    clock.advance(30_000)
  }
  t.equal(lines.length, 4)
  said.sharing(wrong)
  t.equal(lines.length, 8)
})
