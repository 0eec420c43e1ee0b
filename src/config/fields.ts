import { z } from 'zod'
import type { HashOn } from '../core/config.js'
import { parseAdminListen, parseCidr, parseListenAddress, parseTargetAddress } from './addresses.js'
import { parseSourceItem } from './source-list.js'
import {
  formatDuration,
  formatSize,
  type Parsed,
  parseByteRate,
  parseDuration,
  parseEventRate,
  parseSize,
} from './units.js'

/** What editors accept beside the field's own form: anything with a reference to the environment. */
const OR_REFERENCE = '|\\$\\{'

/** A value as an error message shows it. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  if (typeof value !== 'string') return String(value)
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text
}

/** The complaint of a field with alternatives; what is missing or empty is complained about elsewhere. */
export function mustBe(what: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      input === undefined || input === null ? undefined : `must be ${what}, not ${show(input)}`,
  }
}

/** For maps that are switched off by one of their keys: what to write instead of the word that other keys take. */
export function switchedOffBy(written: string) {
  return {
    error: ({ code, input }: { readonly code?: string; readonly input?: unknown }) =>
      code === 'invalid_type' && (input === 'off' || input === false)
        ? `must be a map of keys and values, not ${show(input)}; write ${written}`
        : undefined,
  }
}

/** A string field read by one of the parsers, whose complaint becomes the issue's message. */
function parsed<T>(
  parse: (text: string) => Parsed<T>,
  pattern: string | undefined,
  bareNumber?: (n: number) => string,
) {
  const text = z.string({
    error: (issue) => (typeof issue.input === 'number' && bareNumber ? bareNumber(issue.input) : undefined),
  })
  return (pattern === undefined ? text : text.meta({ pattern: pattern + OR_REFERENCE })).transform(
    (written, context): T => {
      const result = parse(written)
      if (result.ok) return result.value
      context.issues.push({ code: 'custom', message: result.problem, input: written })
      return z.NEVER
    },
  )
}

function within(parse: (text: string) => Parsed<number>, min: number, max: number, format: (value: number) => string) {
  return (text: string): Parsed<number> => {
    const result = parse(text)
    if (!result.ok || (result.value >= min && result.value <= max)) return result
    return { ok: false, problem: `must be from ${format(min)} to ${format(max)}, not ${text}` }
  }
}

/** Proposes the first unit with which the number would be taken. */
function noUnit(units: readonly string[], parse: (text: string) => Parsed<number>) {
  return (n: number): string => {
    const proposed = units.map((unit) => `${n}${unit}`).find((text) => parse(text).ok)
    if (proposed !== undefined) return `${n} has no unit; write ${proposed}`
    const refused = parse(`${n}${units[0]}`)
    return `${n} has no unit (${units.join(', ')})${refused.ok || n < 0 ? '' : `; ${refused.problem}`}`
  }
}

/** A duration in milliseconds, bounds included. */
export function duration(minMs: number, maxMs: number) {
  const parse = within(parseDuration, minMs, maxMs, formatDuration)
  return parsed(parse, '^\\d+(\\.\\d+)?(ms|s|m|h)$', noUnit(['s', 'ms', 'm', 'h'], parse))
}

/** A size in bytes, bounds included. */
export function size(minBytes: number, maxBytes: number) {
  const parse = within(parseSize, minBytes, maxBytes, formatSize)
  return parsed(parse, '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB)$', noUnit(['KiB', 'B', 'MiB', 'GiB'], parse))
}

/** A rate in bytes a second, bounds included. */
export function byteRate(min: number, max: number) {
  const format = (value: number): string => `${formatSize(value)}/s`
  const parse = within(parseByteRate, min, max, format)
  return parsed(parse, '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB)/s$', noUnit(['B/s', 'KiB/s'], parse))
}

/** Events a second, bounds included; infinite where it is `unlimited`. */
export function eventRate(min: number, max: number) {
  const bounded = within(parseEventRate, min, max, (value) => `${value}/s`)
  const parse = (text: string): Parsed<number> => (text === 'unlimited' ? UNLIMITED : bounded(text))
  return parsed(parse, '^(\\d+/s|unlimited)$', (n) => `${n} has no unit; write ${n}/s`)
}

/** A whole number, bounds included; infinite where it is `unlimited`. */
export function limit(min: number, max: number) {
  return z
    .union([z.literal('unlimited'), wholeNumber(min, max)], mustBe(`unlimited or a whole number from ${min} to ${max}`))
    .transform((value) => (value === 'unlimited' ? Number.POSITIVE_INFINITY : value))
}

const UNLIMITED: Parsed<number> = { ok: true, value: Number.POSITIVE_INFINITY }

const aPort = (n: number, otherwise: number): number => (Number.isInteger(n) && n > 0 && n <= 65_535 ? n : otherwise)

const onlyPort = (n: number): string => `${n} is a port without an address; write 0.0.0.0:${aPort(n, 8080)}`

export const listenAddress = () => parsed(parseListenAddress, undefined, onlyPort)
export const adminListen = () =>
  parsed(
    parseAdminListen,
    undefined,
    (n) => `${n} is a port without an address; write ${`127.0.0.1:${aPort(n, 9900)}`}`,
  )
export const targetAddress = () =>
  parsed(parseTargetAddress, undefined, (n) => `${n} is a port without an address; write 127.0.0.1:${aPort(n, 9001)}`)
export const cidr = () => parsed(parseCidr, undefined)
/** A CIDR, or a file of them. */
export const sourceItem = () => parsed(parseSourceItem, undefined)

/** Listeners, groups, targets and nodes are named in metrics, URLs and cookies, so the letters are few. */
export function name() {
  return z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is not a name; use 1 to 64 of the characters A–Z a–z 0–9 _ . -`,
  })
}

/** A host name, in lower case. */
export function hostName() {
  return z
    .string()
    .regex(
      /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/,
      {
        error: (issue) =>
          `${JSON.stringify(issue.input)} is not a host name; write one without a port, like lb.example`,
      },
    )
    .transform((written) => written.toLowerCase())
}

export function wholeNumber(min: number, max: number) {
  return z.int().min(min).max(max)
}

/** `true`/`false`, or `on`/`off`, which YAML 1.2 reads as text. */
export function flag() {
  return z
    .union([z.boolean(), z.enum(['on', 'off'])], mustBe('true or false'))
    .transform((value) => value === true || value === 'on')
}

/** The word `off`; `false` is what YAML 1.1 editors make of it. */
export function off() {
  return z.union([z.literal('off'), z.literal(false)]).transform((): 'off' => 'off')
}

/** Status codes as values and ranges, like `200-299,304`; a number alone is one code. */
export function statusCodes() {
  return z.union([z.string(), z.int().transform(String)]).transform((written, context): [number, number][] => {
    const ranges: [number, number][] = []
    for (const part of written.split(',')) {
      const found = /^\s*([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?\s*$/.exec(part)
      const from = Number(found?.[1])
      const to = Number(found?.[2] ?? found?.[1])
      if (found === null || to < from) {
        const message = `${JSON.stringify(part.trim())} is no status code or range; write codes from 100 to 599, like 200-299,304`
        context.issues.push({ code: 'custom', message, input: written })
        return z.NEVER
      }
      ranges.push([from, to])
    }
    return ranges
  })
}

/** `source`, `path`, `header:NAME` or `cookie:NAME`. */
export function hashOn() {
  return z.string().transform((written, context): HashOn => {
    if (written === 'source' || written === 'path') return { by: written }
    const found = /^(header|cookie):([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})$/.exec(written)
    if (found?.[1] === 'header') return { by: 'header', name: found[2]!.toLowerCase() }
    if (found?.[1] === 'cookie') return { by: 'cookie', name: found[2]! }
    const message = `${JSON.stringify(written)} is not known; write source, path, header:NAME or cookie:NAME`
    context.issues.push({ code: 'custom', message, input: written })
    return z.NEVER
  })
}
