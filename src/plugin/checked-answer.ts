import { latin1 } from '../http/bytes.js'
import { MAX_ADDED_BYTES } from '../http/head-layout.js'
import { fieldProblem } from './header-changes.js'

const MAX_BODY_BYTES = 16 * 1024 * 1024
const CONTENT_TYPE = /^content-type$/i
const KEYS: readonly string[] = ['status', 'headers', 'body']

/** A plug-in's answer, ready to be sent. */
export interface CheckedAnswer {
  readonly status: number
  /** As pairs of name, in lower case, and value. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array
}

/** What a plug-in returned, as an answer; text says why it is none. */
export function checkAnswer(returned: unknown): CheckedAnswer | string {
  if (typeof returned !== 'object' || returned === null || Array.isArray(returned)) {
    return `an answer is { status, headers, body }, not ${Array.isArray(returned) ? 'a list' : typeof returned}`
  }
  const { status, headers = {}, body } = returned as Readonly<Record<string, unknown>>
  const unknown = Object.keys(returned).find((key) => !KEYS.includes(key))
  if (unknown !== undefined) return `an answer has no ${JSON.stringify(unknown)}; it is { status, headers, body }`
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    return `the status of an answer is a whole number from 200 to 599, not ${String(status)}`
  }
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return 'headers is a map of names'
  const fields: [string, string][] = []
  let bytes = 0
  for (const [name, written] of Object.entries(headers)) {
    for (const value of Array.isArray(written) ? (written as unknown[]) : [written]) {
      const problem = fieldProblem(name, value, 'response')
      if (problem !== undefined) return problem
      const text = String(value).trim()
      bytes += name.length + text.length + 4
      fields.push([name.toLowerCase(), text])
    }
  }
  if (bytes > MAX_ADDED_BYTES) return `an answer has at most ${MAX_ADDED_BYTES} bytes of headers`
  const content = bodyOf(body)
  if (typeof content === 'string') return content
  if (typeof body === 'string' && body !== '' && !fields.some(([name]) => CONTENT_TYPE.test(name))) {
    fields.push(['content-type', 'text/plain; charset=utf-8'])
  }
  return { status, fields, body: content }
}

function bodyOf(body: unknown): Uint8Array | string {
  if (body === undefined || body === null) return new Uint8Array(0)
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return 'the body of an answer is text or a Uint8Array'
  // A copy: it may be sent later than the plug-in changes its own.
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : Uint8Array.from(body)
  return bytes.length > MAX_BODY_BYTES ? `the body of an answer has at most ${MAX_BODY_BYTES} bytes` : bytes
}

/** The fields as lines, each with its CRLF. */
export function linesOf(fields: CheckedAnswer['fields']): Uint8Array {
  return latin1(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(''))
}
