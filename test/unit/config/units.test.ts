import t from 'tap'
import {
  formatDuration,
  formatSize,
  type Parsed,
  parseByteRate,
  parseDuration,
  parseSize,
} from '../../../src/config/units.js'

interface Case {
  readonly text: string
  /** The value, or what the problem must say. */
  readonly gives: number | RegExp
}

function table(title: string, parse: (text: string) => Parsed<number>, cases: readonly Case[]): void {
  t.test(title, (t) => {
    for (const { text, gives } of cases) {
      const result = parse(text)
      if (typeof gives === 'number') t.same(result, { ok: true, value: gives }, text)
      else if (result.ok) t.fail(`${text} was read as ${result.value}`)
      else t.match(result.problem, gives, text)
    }
    t.end()
  })
}

table('durations are read as milliseconds', parseDuration, [
  { text: '0s', gives: 0 },
  { text: '250ms', gives: 250 },
  { text: '5s', gives: 5_000 },
  { text: '1.5m', gives: 90_000 },
  { text: '24h', gives: 86_400_000 },
  { text: '0.1h', gives: 360_000 },
  { text: '0.001s', gives: 1 },
  { text: '60', gives: /"60" has no unit; write 60s \(units: ms, s, m, h\)/ },
  { text: '5 s', gives: /has a space in it; write 5s/ },
  { text: '5sec', gives: /unknown unit "sec"; write 5s/ },
  { text: '5min', gives: /write 5m/ },
  { text: '5S', gives: /write 5s/ },
  { text: '2d', gives: /unknown unit "d"; use one of ms, s, m, h/ },
  { text: '0.5ms', gives: /is not a whole number of ms/ },
  { text: '', gives: /is not a duration; write a number and a unit/ },
  { text: '-5s', gives: /is not a duration/ },
  { text: '1m30s', gives: /is not a duration/ },
  { text: '1e3s', gives: /is not a duration/ },
  { text: 'fast', gives: /is not a duration/ },
])

table('sizes are read as bytes', parseSize, [
  { text: '0B', gives: 0 },
  { text: '512B', gives: 512 },
  { text: '32KiB', gives: 32_768 },
  { text: '1.5MiB', gives: 1_572_864 },
  { text: '2GiB', gives: 2_147_483_648 },
  { text: '1024', gives: /has no unit; write 1024KiB \(units: B, KiB, MiB, GiB\)/ },
  { text: '32k', gives: /unknown unit "k"; write 32KiB/ },
  { text: '32KB', gives: /write 32KiB/ },
  { text: '32kib', gives: /write 32KiB/ },
  { text: '1TiB', gives: /use one of B, KiB, MiB, GiB/ },
  { text: '0.3B', gives: /is not a whole number of B/ },
])

table('rates are read as bytes a second', parseByteRate, [
  { text: '500B/s', gives: 500 },
  { text: '1KiB/s', gives: 1_024 },
  { text: '0B/s', gives: 0 },
  { text: '500B', gives: /is not a rate; write an amount a second, like 500B\/s/ },
  { text: '500', gives: /is not a rate; write an amount a second, like 500B\/s/ },
  { text: '2KiB/m', gives: /is not a rate; write an amount a second, like 2KiB\/s/ },
  { text: '500kb/s', gives: /write 500KiB, followed by \/s/ },
])

t.test('amounts are written in the largest unit that leaves a whole number', (t) => {
  const cases: [string, string][] = [
    [formatDuration(0), '0ms'],
    [formatDuration(1_500), '1500ms'],
    [formatDuration(60_000), '1m'],
    [formatDuration(5_400_000), '90m'],
    [formatDuration(86_400_000), '24h'],
    [formatSize(0), '0B'],
    [formatSize(1_000), '1000B'],
    [formatSize(32_768), '32KiB'],
    [formatSize(1_073_741_824), '1GiB'],
  ]
  for (const [written, expected] of cases) t.equal(written, expected)
  t.end()
})
