import t from 'tap'
import { bytes, count, fitScreen, milliseconds, paletteFor, table, uptime } from '../../../src/cli/table.js'

t.test('numbers are written for people', (t) => {
  const cases: [string, string][] = [
    [count(0), '0'],
    [count(1_234_567), '1,234,567'],
    [bytes(0), '0 B'],
    [bytes(1_023), '1023 B'],
    [bytes(1_024), '1.0 KiB'],
    [bytes(150 * 1_024), '150 KiB'],
    [bytes(3 * 2 ** 40), '3.0 TiB'],
    [bytes(5_000 * 2 ** 40), '5000 TiB'],
    [milliseconds(0.123), '0.12 ms'],
    [milliseconds(12.34), '12.3 ms'],
    [milliseconds(123.4), '123 ms'],
    [milliseconds(1_234), '1.2 s'],
    [milliseconds(null), '–'],
    [milliseconds(undefined), '–'],
    [milliseconds(Number.NaN), '–'],
    [uptime(0), '0s'],
    [uptime(59_999), '59s'],
    [uptime(61_000), '1m 1s'],
    [uptime(3_600_000), '1h 0m'],
    [uptime(90_061_000), '1d 1h'],
  ]
  for (const [written, expected] of cases) t.equal(written, expected)
  t.end()
})

t.test('columns are as wide as their widest cell, numbers to the right', (t) => {
  const plain = paletteFor({ isTTY: false }, {})
  const columns = [{ title: 'NAME' }, { title: 'N', align: 'right' as const }]
  t.equal(
    table(
      columns,
      [
        ['a', '1'],
        ['longer', '1000'],
      ],
      plain,
    ),
    'NAME       N\na          1\nlonger  1000',
  )
  t.equal(table(columns, [], plain), 'NAME  N')
  t.end()
})

t.test('a screen shows the top, no wider and no longer than it is', async (t) => {
  const long = Array.from({ length: 40 }, (_, i) => `line ${i} ${'x'.repeat(100)}`).join('\n')
  const lines = fitScreen(`${long}\n`, 80, 24).split('\n')
  t.equal(lines.length, 24)
  t.match(lines[0], /^line 0 x+…$/)
  t.equal(lines.at(-1), '… 17 more lines')
  t.ok(lines.every((line) => [...line].length <= 80))
  t.equal(fitScreen('a\nb\n', 80, 24), 'a\nb')
  const red = '\u001b[31m'
  const off = '\u001b[0m'
  t.equal(fitScreen(`${red}abcdef${off} ${red}g${off}`, 4, 24), `${red}abc…${off}${red}${off}`)
  t.equal(fitScreen(`${red}abc${off}`, 3, 24), `${red}abc${off}`)
})
