/** A variable of an environment file, or a line that gives none. */
export interface EnvironmentFile {
  readonly variables: ReadonlyMap<string, string>
  /** Numbers of the lines, from 1, whose assignment systemd would ignore. */
  readonly ignored: readonly number[]
}

const VALID_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** What a backslash in double quotes takes its meaning from; before all else it stays. */
const ESCAPED_IN_QUOTES = '"\\`$'
const BLANK = ' \t\r'

type State = 'line' | 'name' | 'value' | 'plain' | 'single' | 'double' | 'comment'

/**
 * Reads the text of a systemd `EnvironmentFile=` (systemd.exec(5)), so that a command sees what the service sees: values
 * may be quoted and go over several lines, a backslash joins lines, `#` begins a comment only at the beginning of a line,
 * nothing is expanded, and the last assignment of a name counts.
 */
export function parseEnvironmentFile(text: string): EnvironmentFile {
  const variables = new Map<string, string>()
  const ignored: number[] = []
  let state: State = 'line'
  let name = ''
  let value = ''
  /** Length of `value` without the blanks at its end that no quote or backslash protects. */
  let kept = 0
  let line = 1
  let begunAt = 1

  const assign = (): void => {
    const trimmed = name.trimEnd()
    if (VALID_NAME.test(trimmed) && !value.includes('\0')) variables.set(trimmed, value.slice(0, kept))
    else ignored.push(begunAt)
    state = 'line'
  }

  for (let i = 0; i < text.length; i++) {
    const character = text[i]!
    const next = text[i + 1]
    if (character === '\n') line++
    switch (state) {
      case 'line':
        if (character === '#' || character === ';') state = 'comment'
        else if (character !== '\n' && !BLANK.includes(character)) {
          state = 'name'
          name = character
          value = ''
          kept = 0
          begunAt = line
        }
        break
      case 'comment':
        if (character === '\n') state = 'line'
        break
      case 'name':
        if (character === '=') state = 'value'
        else if (character === '\n') {
          ignored.push(begunAt)
          state = 'line'
        } else name += character
        break
      // Before the value, or behind a quoted part of it.
      case 'value':
      case 'plain':
        if (character === '\n') assign()
        else if (character === '\\') {
          state = 'plain'
          if (next === undefined) break
          i++
          if (next === '\n') line++
          else {
            value += next
            kept = value.length
          }
        } else if (state === 'value' && character === "'") state = 'single'
        else if (state === 'value' && character === '"') state = 'double'
        else if (!BLANK.includes(character)) {
          state = 'plain'
          value += character
          kept = value.length
        } else if (state === 'plain') value += character
        break
      case 'single':
        if (character === "'") state = 'value'
        else value += character
        kept = value.length
        break
      case 'double':
        if (character === '"') state = 'value'
        else if (character === '\\' && next !== undefined) {
          i++
          if (next === '\n') line++
          else value += ESCAPED_IN_QUOTES.includes(next) ? next : character + next
        } else value += character
        kept = value.length
        break
    }
  }
  if (state === 'name') ignored.push(begunAt)
  else if (state !== 'line' && state !== 'comment') assign()
  return { variables, ignored }
}
