import t from 'tap'
import { parseWrk } from '../../../bench/load/wrk.js'

const cases = [
  {
    name: 'a clean run',
    text: '  22345 requests in 2.10s, 4.10MB read\nRequests/sec:  10640.1\n',
    expected: { requests: 22345, errors: 0, seconds: 2.1 },
  },
  {
    name: 'socket errors add up',
    text: '  100 requests in 900.00ms, 1.00KB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n',
    expected: { requests: 100, errors: 10, seconds: 0.9 },
  },
  {
    name: 'answers of another status are no requests served',
    text: '  100 requests in 1.00m, 1.00KB read\n  Non-2xx or 3xx responses: 40\n',
    expected: { requests: 60, errors: 40, seconds: 60 },
  },
]

for (const { name, text, expected } of cases) {
  t.test(`wrk's output: ${name}`, (t) => {
    t.same(parseWrk(text), expected)
    t.end()
  })
}

t.test("wrk's output without a total is an error that shows it", (t) => {
  t.throws(() => parseWrk('unable to connect'), { message: /unable to connect/ })
  t.end()
})
