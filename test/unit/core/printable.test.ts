import t from 'tap'
import { printable, printableJson } from '../../../src/core/printable.js'

const HOSTILE = '\u001b[2J\u0007\u009b31m\u202eabc\u2066\u2028\u007f\r\n\tend'
const SHOWN = '\\u001b[2J\\u0007\\u009b31m\\u202eabc\\u2066\\u2028\\u007f\\u000d\\u000a\\u0009end'

t.test('what a terminal would act upon is written out, and all else stays', async (t) => {
  t.equal(printable(HOSTILE), SHOWN)
  for (const text of ['', 'plain', 'Grüße, 世界 – “quoted” 🦫', 'a\\u001b']) t.equal(printable(text), text)
})

t.test('texts of JSON come out of it as they may be shown', async (t) => {
  const shown = '\\u001b[2J\\u0007\\u009b31m\\u202eabc\\u2066\\u2028\\u007f\\r\\n\\tend'
  const value = {
    [HOSTILE]: [HOSTILE, 1, null, { deep: HOSTILE }],
    path: 'C:\\new\\table',
    quote: '"\\n"',
    long: '\\\\u001b',
  }
  const expected = {
    [shown]: [shown, 1, null, { deep: shown }],
    path: 'C:\\new\\table',
    quote: '"\\n"',
    long: '\\\\u001b',
  }
  t.same(JSON.parse(printableJson(JSON.stringify(value))), expected)
  t.same(JSON.parse(printableJson(JSON.stringify(value, undefined, 2))), expected, 'also where it is laid out')
  const escaped = '{"a":"\\u001B[2J\\u009b\\u0041\\\\u001b"}'
  t.same(JSON.parse(printableJson(escaped)), { a: '\\u001B[2J\\u009bA\\u001b' })
})

t.test('with lines kept a stack trace stays as it is', async (t) => {
  const stack = 'Error: \u001b[2J\n    at one\n\tat two\r'
  t.equal(JSON.parse(printableJson(JSON.stringify(stack), true)), 'Error: \\u001b[2J\n    at one\n\tat two\\r')
})
