import { useState } from 'preact/hooks'
import type { Status } from '../admin/status-shape.js'
import { Chart, type ChartLine } from './chart.js'
import { bytes, count, rate } from './format.js'
import type { History, Rates, Series } from './history.js'

interface Panel {
  readonly title: string
  readonly steps: readonly number[]
  readonly format: (value: number) => string
  readonly lines: readonly (ChartLine & { readonly pick: (series: Series) => (number | null)[] })[]
}

/** 1, 2, 5, 10 and so on. */
const DECIMAL = Array.from({ length: 34 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3))
/** 1, 2, 4 and so on, so that marks are whole KiB and MiB. */
const BINARY = Array.from({ length: 44 }, (_, i) => 2 ** i)

const PANELS: readonly Panel[] = [
  {
    title: 'Requests per second',
    steps: DECIMAL,
    format: rate,
    lines: [{ label: 'requests', color: '--line-1', pick: (series) => series.requests }],
  },
  {
    title: 'Errors per second',
    steps: DECIMAL,
    format: rate,
    lines: [
      { label: 'server', color: '--bad', pick: (series) => series.serverErrors },
      { label: 'client', color: '--warn', pick: (series) => series.clientErrors },
    ],
  },
  {
    title: 'Connections',
    steps: DECIMAL,
    format: count,
    lines: [{ label: 'open', color: '--line-2', pick: (series) => series.connections }],
  },
  {
    title: 'Traffic per second',
    steps: BINARY,
    format: bytes,
    lines: [
      { label: 'out', color: '--line-1', pick: (series) => series.sent },
      { label: 'in', color: '--line-3', pick: (series) => series.received },
    ],
  },
]

/** `status` and `rates` are not read: a new one means that the history has grown. */
export function Charts({ history }: { history: History; status: Status; rates: Rates | null }) {
  // One pointer for all four: what happened here when that happened there.
  const [pointed, setPointed] = useState<number | null>(null)
  const { series } = history
  const at = pointed === null ? series.times.length - 1 : Math.min(pointed, series.times.length - 1)
  return (
    <section class="charts" aria-label="The last five minutes">
      {PANELS.map(({ title, lines, steps, format }) => {
        const values = lines.map((line) => line.pick(series))
        return (
          <figure class="panel chart" key={title}>
            <figcaption>
              <h2>{title}</h2>
              <span class="when">{pointed === null ? '' : clock(series.times[at])}</span>
            </figcaption>
            <p class="values">
              {lines.map((line, index) => (
                <span class="value" key={line.label}>
                  <b class="number">{known(values[index]![at], format)}</b>
                  <span class={`key key-${line.color.slice(2)}`}>{line.label}</span>
                </span>
              ))}
            </p>
            <Chart
              times={series.times}
              lines={lines}
              values={values}
              steps={steps}
              format={format}
              label={summary(title, lines, values, format)}
              onPoint={setPointed}
            />
          </figure>
        )
      })}
    </section>
  )
}

const known = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? '–' : format(value)

const clock = (seconds: number | undefined): string =>
  seconds === undefined ? '' : new Date(seconds * 1000).toLocaleTimeString('en-GB')

/** The chart in words, for who cannot see it. */
function summary(
  title: string,
  lines: readonly ChartLine[],
  values: readonly (number | null)[][],
  format: (value: number) => string,
): string {
  const parts = lines.map(({ label }, index) => {
    const line = values[index]!
    const peak = line.reduce<number>((max, value) => Math.max(max, value ?? 0), 0)
    return `${label} now ${known(line.at(-1), format)}, highest ${format(peak)}`
  })
  return `${title}, last five minutes: ${parts.join('; ')}`
}
