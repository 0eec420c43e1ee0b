import { fetchText } from './castor.js'

/** One reading of `/metrics`. */
export class Metrics {
  readonly #samples: readonly { readonly name: string; readonly labels: string; readonly value: number }[]

  constructor(text: string) {
    this.#samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const match = /^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$/.exec(line)
        if (match === null) throw new Error(`no sample: ${line}`)
        return { name: match[1]!, labels: match[2] ?? '', value: Number(match[3]) }
      })
  }

  static async read(adminPort: number): Promise<Metrics> {
    return new Metrics(await fetchText(adminPort, '/metrics'))
  }

  /** All samples of the family whose labels contain each of `parts`, such as `listener="web"`, in order. */
  all(family: string, ...parts: string[]): number[] {
    return this.#samples
      .filter(({ name, labels }) => name === family && parts.every((part) => labels.includes(part)))
      .map(({ value }) => value)
  }

  /** The same, added up; 0 where there are none. */
  sum(family: string, ...parts: string[]): number {
    return this.all(family, ...parts).reduce((sum, value) => sum + value, 0)
  }
}
