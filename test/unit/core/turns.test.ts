import t from 'tap'
import { Turns } from '../../../src/core/turns.js'

function busyFor(ms: number): void {
  const untilMs = performance.now() + ms
  while (performance.now() < untilMs);
}

t.test('work pauses between its steps, and what was added behind it waits', async (t) => {
  const said: string[] = []
  const turns = new Turns((fault) => said.push(String(fault)))
  let timers = 0
  const timer = setInterval(() => timers++, 1)
  t.teardown(() => clearInterval(timer))
  const seen: number[] = []
  function* long(): Generator<void> {
    for (let step = 0; step < 6; step++) {
      busyFor(5)
      seen.push(timers)
      yield
    }
    said.push('long')
  }
  const over = new Promise<void>((resolve) => {
    turns.add(long())
    turns.add(
      (function* (): Generator<void> {
        said.push('short')
        yield resolve()
      })(),
    )
  })
  t.same(said, [], 'nothing of what is behind has begun')
  await over
  t.same(said, ['long', 'short'])
  t.ok(seen.at(-1)! > seen[0]!, 'timers had their turn between')
})

t.test('what is short is done at once, and a fault ends only its own work', (t) => {
  const said: string[] = []
  const turns = new Turns((fault) => said.push((fault as Error).message))
  turns.add(
    (function* (): Generator<void> {
      said.push('before')
      yield
      throw new Error('fault')
    })(),
  )
  turns.add([])
  turns.add(
    (function* (): Generator<void> {
      yield
      said.push('after')
    })(),
  )
  t.same(said, ['before', 'fault', 'after'])
  t.end()
})
