import t from 'tap'
import { RequestIds } from '../../../src/proxy/request-ids.js'

t.test('ids go on counting, and begin with other random bits when the count is used up', async (t) => {
  let drawn = 0
  const ids = new RequestIds((size) => Buffer.alloc(size, ++drawn), 2 ** 40 - 3)
  const made = Array.from({ length: 5 }, () => Buffer.from(ids.next()).toString('latin1'))
  t.same(made, [
    `${'01'.repeat(11)}fffffffffe`,
    `${'01'.repeat(11)}ffffffffff`,
    `${'02'.repeat(11)}0000000000`,
    `${'02'.repeat(11)}0000000001`,
    `${'02'.repeat(11)}0000000002`,
  ])
})
