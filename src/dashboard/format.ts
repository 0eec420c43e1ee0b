const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** 0, 0.4, 12.3, 1,234, 56.7k, 1.2M */
export function count(value: number): string {
  if (value >= 999_950_000) return `${oneDigit.format(value / 1e9)}G`
  if (value >= 999_950) return `${oneDigit.format(value / 1e6)}M`
  if (value >= 99_950) return `${oneDigit.format(value / 1e3)}k`
  return whole.format(value)
}

export function rate(value: number): string {
  if (value > 0 && value < 99.95 && !Number.isInteger(value)) return value < 0.05 ? '<0.1' : oneDigit.format(value)
  return count(value)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytes(value: number): string {
  let unit = 0
  let rest = value
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1024
    unit++
  }
  return `${unit === 0 || rest >= 99.95 ? whole.format(rest) : oneDigit.format(rest)} ${UNITS[unit]}`
}

/** 0.42 ms, 12.3 ms, 1.20 s */
export function milliseconds(value: number | null): string {
  if (value === null) return '–'
  if (value >= 999.5) return `${(value / 1000).toFixed(2)} s`
  if (value >= 99.95) return `${value.toFixed(0)} ms`
  return `${value.toFixed(value >= 9.995 ? 1 : 2)} ms`
}

/** 12s, 3m 04s, 2h 05m, 8d 4h */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3600) % 24}h`
}
