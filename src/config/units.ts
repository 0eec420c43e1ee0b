/** What reading a piece of text gives: its value, or what is wrong with it and what to write instead. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string }

interface UnitFamily {
  readonly what: string
  /** Size of each unit in the base unit, smallest first. */
  readonly units: Readonly<Record<string, number>>
  /** Spellings that people try, and the unit that they mean. */
  readonly meant: Readonly<Record<string, string>>
  /** The unit to propose for a bare number. */
  readonly usual: string
}

const DURATION: UnitFamily = {
  what: 'a duration',
  units: { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
  meant: {
    msec: 'ms',
    msecs: 'ms',
    millis: 'ms',
    millisecond: 'ms',
    milliseconds: 'ms',
    sec: 's',
    secs: 's',
    second: 's',
    seconds: 's',
    min: 'm',
    mins: 'm',
    minute: 'm',
    minutes: 'm',
    hr: 'h',
    hrs: 'h',
    hour: 'h',
    hours: 'h',
  },
  usual: 's',
}

const SIZE: UnitFamily = {
  what: 'a size',
  units: { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 },
  meant: {
    byte: 'B',
    bytes: 'B',
    k: 'KiB',
    kb: 'KiB',
    kib: 'KiB',
    m: 'MiB',
    mb: 'MiB',
    mib: 'MiB',
    g: 'GiB',
    gb: 'GiB',
    gib: 'GiB',
  },
  usual: 'KiB',
}

const NUMBER_AND_UNIT = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/

function parseQuantity(text: string, family: UnitFamily): Parsed<number> {
  const names = Object.keys(family.units).join(', ')
  const fail = (problem: string): Parsed<number> => ({ ok: false, problem })
  const match = NUMBER_AND_UNIT.exec(text.trim())
  if (!match)
    return fail(`${quoted(text)} is not ${family.what}; write a number and a unit (${names}), like 30${family.usual}`)
  const number = match[1]!
  const unit = match[2]!
  if (unit === '') return fail(`${quoted(text)} has no unit; write ${number}${family.usual} (units: ${names})`)
  const factor = family.units[unit]
  if (factor === undefined) {
    const meant = family.meant[unit] ?? family.meant[unit.toLowerCase()] ?? sameLetters(unit, family)
    const instead = meant === undefined ? `use one of ${names}` : `write ${number}${meant}`
    return fail(`${quoted(text)} has the unknown unit "${unit}"; ${instead}`)
  }
  if (text !== number + unit) return fail(`${quoted(text)} has a space in it; write ${number}${unit}`)
  const value = Number(number) * factor
  // 0.1 * 3_600_000 is a hair off a whole number in floating point; what is meant is not.
  const rounded = Math.round(value)
  if (Math.abs(value - rounded) > 1e-6)
    return fail(`${quoted(text)} is not a whole number of ${Object.keys(family.units)[0]}`)
  return { ok: true, value: rounded }
}

function sameLetters(unit: string, family: UnitFamily): string | undefined {
  return Object.keys(family.units).find((name) => name.toLowerCase() === unit.toLowerCase())
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

/** `250ms`, `5s`, `1.5m`, `24h` → milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  return parseQuantity(text, DURATION)
}

/** `512B`, `32KiB`, `1MiB`, `2GiB` → bytes. */
export function parseSize(text: string): Parsed<number> {
  return parseQuantity(text, SIZE)
}

/** `500B/s`, `1KiB/s` → bytes a second. */
export function parseByteRate(text: string): Parsed<number> {
  const slash = text.indexOf('/')
  if (slash < 0 || text.slice(slash) !== '/s') {
    const amount = parseSize(slash < 0 ? text : text.slice(0, slash))
    const example = amount.ok ? `${text.slice(0, slash < 0 ? text.length : slash)}/s` : '500B/s'
    return { ok: false, problem: `${quoted(text)} is not a rate; write an amount a second, like ${example}` }
  }
  const amount = parseSize(text.slice(0, slash))
  return amount.ok ? amount : { ok: false, problem: `${amount.problem}, followed by /s` }
}

/** `1000/s` → events a second. */
export function parseEventRate(text: string): Parsed<number> {
  const match = /^(\d+)\/s$/.exec(text)
  if (match !== null) return { ok: true, value: Number(match[1]) }
  const number = /^(\d+)/.exec(text.trim())?.[1] ?? '100'
  return {
    ok: false,
    problem: `${quoted(text)} is not a rate; write a number a second, like ${number}/s, or unlimited`,
  }
}

/** Milliseconds in the largest unit that leaves a whole number. */
export function formatDuration(ms: number): string {
  return formatQuantity(ms, DURATION)
}

/** Bytes in the largest unit that leaves a whole number. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, SIZE)
}

function formatQuantity(value: number, family: UnitFamily): string {
  let best = `${value}${Object.keys(family.units)[0]}`
  if (value === 0) return best
  for (const [unit, factor] of Object.entries(family.units)) {
    if (value % factor === 0) best = `${value / factor}${unit}`
  }
  return best
}
