export type MetricType = 'counter' | 'gauge' | 'histogram'

export type Labels = Readonly<Record<string, string>>

/** Buckets for `Exposition.histogram`: `cumulative[i]` of the durations were at most `boundsSeconds[i]`. */
export interface HistogramSample {
  readonly boundsSeconds: readonly number[]
  readonly cumulative: readonly number[]
  readonly count: number
  readonly sumSeconds: number
}

/**
 * Prometheus text exposition, version 0.0.4: a family's HELP and TYPE first, then all its samples, one behind the other.
 */
export class Exposition {
  static readonly contentType = 'text/plain; version=0.0.4; charset=utf-8'
  readonly #lines: string[] = []
  #name = ''

  /** Begins a family; the samples that follow belong to it. */
  family(name: string, type: MetricType, help: string): this {
    this.#name = name
    this.#lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`)
    return this
  }

  sample(labels: Labels, value: number): this {
    this.#lines.push(`${this.#name}${labelText(labels)} ${numberText(value)}`)
    return this
  }

  histogram(labels: Labels, { boundsSeconds, cumulative, count, sumSeconds }: HistogramSample): this {
    // The labels but `le` are the same on every line of the family: written once.
    const inner = pairs(labels)
    const comma = inner === '' ? '' : ','
    for (let i = 0; i < boundsSeconds.length; i++) {
      const le = numberText(boundsSeconds[i]!)
      this.#lines.push(`${this.#name}_bucket{${inner}${comma}le="${le}"} ${numberText(cumulative[i]!)}`)
    }
    this.#lines.push(`${this.#name}_bucket{${inner}${comma}le="+Inf"} ${numberText(count)}`)
    const braces = inner === '' ? '' : `{${inner}}`
    this.#lines.push(`${this.#name}_sum${braces} ${numberText(sumSeconds)}`)
    this.#lines.push(`${this.#name}_count${braces} ${numberText(count)}`)
    return this
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

function labelText(labels: Labels): string {
  const inner = pairs(labels)
  return inner === '' ? '' : `{${inner}}`
}

function pairs(labels: Labels): string {
  let text = ''
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escapeLabel(labels[name]!)}"`
  return text
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
