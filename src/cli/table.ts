import type { WriteStream } from 'node:tty'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

export type Paint = (text: string) => string

/** Colours, or none of them where nobody sees them. */
export interface Palette {
  readonly bold: Paint
  readonly dim: Paint
  readonly good: Paint
  readonly warn: Paint
  readonly bad: Paint
}

const code =
  (number: number): Paint =>
  (text) =>
    `\u001b[${number}m${text}\u001b[0m`
const none: Paint = (text) => text

const COLOURS: Palette = { bold: code(1), dim: code(2), good: code(32), warn: code(33), bad: code(31) }
const PLAIN: Palette = { bold: none, dim: none, good: none, warn: none, bad: none }

/** Colours on a terminal that shows them, unless NO_COLOR asks for none. */
export function paletteFor(stream: Pick<WriteStream, 'isTTY'>, env: NodeJS.ProcessEnv = process.env): Palette {
  return stream.isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? COLOURS : PLAIN
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with the control character ESC
const COLOUR_CODES = /\u001b\[\d+m/g

function width(text: string): number {
  return [...text.replace(COLOUR_CODES, '')].length
}

/** Rows under their titles, columns as wide as their widest cell. Cells may be coloured. Ends without a newline. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], palette: Palette): string {
  const widths = columns.map((column, index) =>
    Math.max(width(column.title), ...rows.map((row) => width(row[index] ?? ''))),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const padding = ' '.repeat(Math.max(0, widths[index]! - width(cell)))
        return columns[index]!.align === 'right' ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  const titles = columns.map((column) => palette.dim(column.title))
  return [line(titles), ...rows.map(line)].join('\n')
}

/**
 * The top of a text that may be coloured, as much of it as a terminal shows at once, so that it stands still when it is
 * drawn again. Ends without a newline, which would make a full screen scroll.
 */
export function fitScreen(text: string, columns: number, rows: number): string {
  const lines = text.trimEnd().split('\n')
  const shown = lines.length <= rows ? lines : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`]
  return shown.map((line) => cut(line, columns)).join('\n')
}

function cut(line: string, columns: number): string {
  if (width(line) <= columns) return line
  let left = columns - 1
  // Colours take no room, and end after the cut as before it.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with the control character ESC
  return line.replace(/\u001b\[\d+m|./gsu, (part) => {
    if (part.startsWith('\u001b')) return part
    left--
    return left >= 0 ? part : left === -1 ? '…' : ''
  })
}

/** 1234567 → `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Bytes with three digits and a binary unit. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let amount = value
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024
    unit++
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`
}

/** Milliseconds as a person reads them: `0.42 ms`, `12 ms`, `1.5 s`. */
export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  if (value >= 100) return `${value.toFixed(0)} ms`
  return value >= 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(2)} ms`
}

/** A long time in its two largest units: `3d 4h`, `2m 10s`. */
export function uptime(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first < 0) return '0s'
  return parts
    .slice(first, first + 2)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(' ')
}
