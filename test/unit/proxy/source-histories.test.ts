import t from 'tap'
import { FLOOD } from '../../../src/http/h2/flood.js'
import { SourceHistories, sourceOf } from '../../../src/proxy/h2/source-histories.js'

const WINDOW_MS = 10_000
const at = (address: string, port = 1) => ({
  family: address.includes(':') ? (6 as const) : (4 as const),
  address,
  port,
})

t.test('a source is an IPv4 address or the /64 of an IPv6 one, whatever the port', async (t) => {
  t.equal(sourceOf(at('192.0.2.7', 1)), sourceOf(at('192.0.2.7', 2)))
  t.not(sourceOf(at('192.0.2.7')), sourceOf(at('192.0.2.8')))
  t.equal(sourceOf(at('2001:db8:0:1::1')), sourceOf(at('2001:db8:0:1:ffff::9')))
  t.not(sourceOf(at('2001:db8:0:1::1')), sourceOf(at('2001:db8:0:2::1')))
})

t.test('of more sources than fit the one that came longest ago is forgotten', async (t) => {
  const histories = new SourceHistories(3)
  const first = histories.open(at('192.0.2.1'))
  const second = histories.open(at('192.0.2.2'))
  histories.open(at('192.0.2.3'))
  t.equal(histories.open(at('192.0.2.1')), first, 'known again')
  histories.open(at('192.0.2.4'))
  t.equal(histories.open(at('192.0.2.1')), first)
  t.not(histories.open(at('192.0.2.2')), second)
})

t.test('what was spent is forgotten when its time is over', async (t) => {
  const history = new SourceHistories().open(at('192.0.2.1'))
  t.equal(history.addResets(30, 20_000, WINDOW_MS), 30)
  t.equal(history.addResets(-10, 29_999, WINDOW_MS), 20)
  t.equal(history.spentOf(FLOOD.RESETS, 29_999, WINDOW_MS), 20)
  t.equal(history.spentOf(FLOOD.RESETS, 30_000, WINDOW_MS), 0)
  t.equal(history.addResets(1, 30_000, WINDOW_MS), 1)
})

t.test('a tenth of a limit is free for every connection', async (t) => {
  const history = new SourceHistories().open(at('192.0.2.1'))
  for (let visit = 0; visit < 50; visit++) history.spend(FLOOD.SETTINGS, 5, 50, 20_000, WINDOW_MS)
  t.equal(history.spentOf(FLOOD.SETTINGS, 20_000, WINDOW_MS), 0)
  history.spend(FLOOD.SETTINGS, 45, 50, 20_000, WINDOW_MS)
  t.equal(history.spentOf(FLOOD.SETTINGS, 20_000, WINDOW_MS), 40)
})
