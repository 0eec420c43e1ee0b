import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { validate } from '../../../src/config/validate.js'
import { pollMsFor } from '../../../src/proxy/h2/limits.js'
import { packageRoot } from '../../meta/sources.js'

/** Every number in the tables of docs/CONFIGURATION.md, tried at its bounds and one step beyond each. */

interface Bound {
  readonly key: string
  readonly min: number
  readonly max: number
  /** Of both, in the unit of `write`. */
  readonly write: (value: number) => unknown
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  B: 1,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
}
const RANGE = /(\d+)(ms|s|m|h|B|KiB|MiB|GiB)?(\/s)?–(\d+)(ms|s|m|h|B|KiB|MiB|GiB)?(\/s)?/

function boundOf(key: string, values: string): Bound | undefined {
  const found = RANGE.exec(values)
  if (found === null) return undefined
  const [, from = '', fromUnit, , to = '', toUnit, rate] = found
  if (toUnit === undefined) {
    const write = rate === undefined ? (value: number) => value : (value: number) => `${value}${rate}`
    return { key, min: Number(from), max: Number(to), write }
  }
  const base = toUnit.includes('B') ? 'B' : 'ms'
  const unit = `${base}${rate ?? ''}`
  const min = Number(from) * UNITS[fromUnit ?? toUnit]!
  return { key, min, max: Number(to) * UNITS[toUnit]!, write: (value) => `${value}${unit}` }
}

const page = readFileSync(join(packageRoot(), 'docs/CONFIGURATION.md'), 'utf8')
const bounds = [...page.matchAll(/^\| `([A-Za-z0-9.[\]]+)` \| ([^|]+) \|/gm)].flatMap(
  ([, key = '', values = '']) => boundOf(key, values) ?? [],
)

/** What must stand beside a key for it to be read at all. */
const BESIDE: readonly (readonly [prefix: string, fields: object])[] = [
  ['plugins[].', { module: './p.mjs' }],
  ['targetGroups[].stickiness.maxAge', { type: 'cookie' }],
  ['targetGroups[].stickiness.timeout', { type: 'source-ip' }],
  ['targetGroups[].stickiness.ipv6Prefix', { type: 'source-ip' }],
  ['cluster.redis.', { address: '127.0.0.1:6379' }],
  ['cluster.', { name: 'c', secret: 'x'.repeat(16), redis: 'redis://127.0.0.1' }],
  ['vips[].', { address: '192.0.2.1/24', interface: 'eth0', prefer: 'a', routerId: 1 }],
  ['listeners[].rules[].forward[].', { targetGroup: 'app' }],
  ['listeners[].rules[].mirror.', { targetGroup: 'app' }],
  ['listeners[].tls.hsts.', { maxAge: 1 }],
  ['listeners[].tls.', { certificates: [{ cert: 'a', key: 'b' }] }],
]

/** A file with that value at `key`. */
function fileWith(key: string, value: unknown): object {
  const file: Record<string, unknown> = {
    listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:80', targetGroup: 'app' }],
    targetGroups: [{ name: 'app', protocol: 'http', targets: [{ address: '127.0.0.1:81' }] }],
  }
  const steps = key.split('.')
  let map = file
  let path = ''
  for (const [index, step] of steps.entries()) {
    const name = step.replace('[]', '')
    path += `${step}.`
    if (index === steps.length - 1) {
      map[name] = value
      break
    }
    const beside = BESIDE.find(([prefix]) => prefix === path || prefix === key)?.[1] ?? {}
    const isLast = index === steps.length - 2
    const inner: Record<string, unknown> = path.endsWith('[].') && map[name] !== undefined ? {} : { ...beside }
    if (step.endsWith('[]')) {
      const list = (map[name] ??= [inner]) as Record<string, unknown>[]
      if (isLast) Object.assign(list[0]!, beside)
      map = list[0]!
    } else {
      map[name] = inner
      map = inner
    }
  }
  return file
}

/** The issues that name the key. */
function refused(key: string, value: unknown): string[] {
  const result = validate(fileWith(key, value))
  if (!('issues' in result)) return []
  return result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

/** Checked beyond the single value: on tcp listeners more is allowed than on others. */
const WIDER = new Set(['listeners[].idleTimeout', 'targetGroups[].stickiness.timeout'])

t.test('every bound that the documentation names is the one that the check holds', async (t) => {
  t.ok(bounds.length > 55, `${bounds.length} bounds are documented`)
  for (const { key, min, max, write } of bounds) {
    t.same(refused(key, write(min)), [], `${key}: ${write(min)} is taken`)
    if (!WIDER.has(key)) t.same(refused(key, write(max)), [], `${key}: ${write(max)} is taken`)
    if (min > 0) t.not(refused(key, write(min - 1)).length, 0, `${key}: ${write(min - 1)} is refused`)
    else t.not(refused(key, typeof write(0) === 'number' ? -1 : '-1ms').length, 0, `${key}: less than none is refused`)
    if (!WIDER.has(key)) t.not(refused(key, write(max + 1)).length, 0, `${key}: ${write(max + 1)} is refused`)
  }
})

t.test('fractions, exponents and huge numbers are refused where whole ones are wanted', async (t) => {
  for (const { key, write } of bounds) {
    if (typeof write(0) !== 'number') continue
    for (const value of [0.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      t.not(refused(key, value).length, 0, `${key}: ${value}`)
    }
  }
})

t.test('an HTTP/2 connection is looked at as often as its shortest time limit wants', async (t) => {
  t.equal(pollMsFor(10_000, 60_000), 1_000)
  t.equal(pollMsFor(10_000, 300), 300)
  t.equal(pollMsFor(10), 100, 'no more often than timers turn')
})
