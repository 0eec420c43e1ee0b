/**
 * What a terminal acts upon instead of showing it: C0 and C1 controls with DEL, separators of lines, and marks that turn
 * the direction of text around.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Text from elsewhere as it may be shown: what a terminal would act upon is written out, as JSON would. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const IN_JSON =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of the above that may stand in JSON as they are
  /\\(?:u([0-9A-Fa-f]{4})|[^u])|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
const LINE_ESCAPES = ['\\n', '\\t']
const CONTROL_ESCAPES = ['\\b', '\\f', '\\r', ...LINE_ESCAPES]

/**
 * JSON whose texts may be shown once they are parsed, as `printable` makes them. `keepLines`: ends of lines and tabs stay,
 * which stack traces have.
 */
export function printableJson(json: string, keepLines = false): string {
  return json.replace(IN_JSON, (found: string, code: string | undefined) => {
    if (code !== undefined)
      return printable(String.fromCharCode(Number.parseInt(code, 16))).length > 1 ? `\\${found}` : found
    if (found.length === 1) return `\\${printable(found)}`
    return CONTROL_ESCAPES.includes(found) && !(keepLines && LINE_ESCAPES.includes(found)) ? `\\${found}` : found
  })
}
