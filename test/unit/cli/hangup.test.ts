import t from 'tap'
import { watchSignals } from '../../../src/cli/signals.js'
import type { RunningCastor } from '../../../src/control/running.js'

t.test('a SIGHUP during the start has the file read again once the balancer runs', async (t) => {
  const said: string[] = []
  const signals = watchSignals((line) => said.push(line))
  process.emit('SIGHUP')
  process.emit('SIGHUP')
  const reloads: string[] = []
  const castor = {
    finished: Promise.resolve(),
    reloading: { reload: async (by: string) => void reloads.push(by) },
  } as unknown as RunningCastor
  await signals.drive(castor)
  t.same(reloads, ['signal'])
  t.match(said, [/still starting/, /still starting/])
  process.emit('SIGHUP')
  t.same(reloads, ['signal', 'signal'])
  for (const signal of process.eventNames()) if (String(signal).startsWith('SIG')) process.removeAllListeners(signal)
})
