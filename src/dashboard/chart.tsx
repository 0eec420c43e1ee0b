import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { WINDOW_SECONDS } from './history.js'

export interface ChartLine {
  readonly label: string
  /** A custom property of the page's style, read when drawing, so that a change of colour scheme needs no new chart. */
  readonly color: string
}

interface ChartProps {
  readonly times: number[]
  readonly lines: readonly ChartLine[]
  readonly values: (number | null)[][]
  /** What the marks of the scale may lie apart, ascending. */
  readonly steps: readonly number[]
  readonly format: (value: number) => string
  readonly label: string
  /** The sample the pointer is over, in any of the charts; null when it left. */
  readonly onPoint: (index: number | null) => void
}

const HEIGHT = 132

export function Chart({ times, lines, values, steps, format, label, onPoint }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)

  useEffect(() => {
    const element = box.current!
    const made = new uPlot(
      options(element.clientWidth, lines, steps, format, onPoint),
      [[], ...lines.map(() => [])],
      element,
    )
    plot.current = made
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    resized.observe(element)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const redraw = (): void => made.redraw(false)
    scheme.addEventListener('change', redraw)
    return () => {
      scheme.removeEventListener('change', redraw)
      resized.disconnect()
      made.destroy()
    }
    // A chart's lines and formats are fixed when it is made.
  }, [])

  useEffect(() => {
    plot.current?.setData([times, ...values])
  })

  return <div class="plot" ref={box} role="img" aria-label={label} />
}

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

function options(
  width: number,
  lines: readonly ChartLine[],
  steps: readonly number[],
  format: (value: number) => string,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: () => css('--quiet'),
    grid: { stroke: () => css('--grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  return {
    width,
    height: HEIGHT,
    padding: [6, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, sync: { key: 'castor', setSeries: false }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: true, range: (_, __, max) => [max - WINDOW_SECONDS, max] },
      y: { range: (_, __, max) => [0, roof(max)] },
    },
    axes: [
      { ...axis, size: 22, gap: 4, space: 44, incrs: [60, 120], values: (_, splits) => splits.map(minute) },
      { ...axis, size: 54, gap: 6, space: 28, incrs: [...steps], values: (_, splits) => splits.map((v) => format(v)) },
    ],
    series: [
      {},
      ...lines.map(
        ({ label, color }, index): uPlot.Series => ({
          label,
          stroke: () => css(color),
          width: 1.5,
          points: { show: false },
          ...(index === 0 ? { fill: () => css(`${color}-fill`) } : {}),
        }),
      ),
    ],
    hooks: {
      setCursor: [(made) => onPoint(made.cursor.idx ?? null)],
    },
  }
}

/** The top of the scale: some air above the highest value, and never a scale of nothing. */
const roof = (max: number): number => (max > 0 ? max * 1.15 : 1)

const minute = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
