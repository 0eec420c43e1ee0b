import t from 'tap'
import { giveBackReleased, KeptBytes } from '../../../src/proxy/h1/kept-bytes.js'

const textOf = (kept: KeptBytes): string => kept.buffer.toString('latin1', 0, kept.length)
const append = (kept: KeptBytes, text: string): void => kept.append(Buffer.from(text, 'latin1'), 0, text.length)

t.test('memory that was read to its end serves what is kept next', async (t) => {
  const first = new KeptBytes()
  append(first, 'first')
  const { buffer } = first
  first.clear()
  giveBackReleased(buffer)
  const [second, third] = [new KeptBytes(), new KeptBytes()]
  append(second, 'second')
  append(third, 'third')
  t.equal(second.buffer, buffer)
  t.not(third.buffer, buffer, 'one at a time')
  t.same([textOf(second), textOf(third)], ['second', 'third'])
  giveBackReleased(buffer)
  const fourth = new KeptBytes()
  append(fourth, 'fourth')
  t.not(fourth.buffer, buffer, 'what is in use cannot be given back')
  t.equal(textOf(second), 'second')
})

t.test('memory that somebody has taken over in the meantime is not given to others', async (t) => {
  const [inbox, session] = [new KeptBytes(), new KeptBytes()]
  append(inbox, 'GET rest')
  const { buffer, length } = inbox
  inbox.clear()
  session.append(buffer, 4, length)
  t.equal(session.buffer, buffer, 'the rest stays where it lies')
  giveBackReleased(buffer)
  const other = new KeptBytes()
  append(other, 'something else')
  t.not(other.buffer, buffer)
  t.equal(textOf(session), 'rest')
})

t.test('what needs more than that memory is kept whole', async (t) => {
  const kept = new KeptBytes()
  append(kept, 'a')
  const { buffer } = kept
  kept.clear()
  giveBackReleased(buffer)
  const text = 'x'.repeat(5_000)
  append(kept, 'ab')
  append(kept, text)
  t.equal(textOf(kept), `ab${text}`)
  const large = kept.buffer
  kept.clear()
  giveBackReleased(large)
  const next = new KeptBytes()
  append(next, 'y')
  t.not(next.buffer, large, 'large memory is let go of')
})
