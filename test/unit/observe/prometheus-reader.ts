export interface ReadFamily {
  readonly type: string
  readonly help: string
  /** By sample name and sorted labels, as `name{a="b"}` with the labels unescaped. */
  readonly samples: Map<string, number>
}

/** Labels in one order, so that two writers' lines can be compared. */
export const sampleKey = (name: string, labels: Readonly<Record<string, string>>): string =>
  `${name}${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`

/**
 * Reads text exposition format 0.0.4 and throws where it is not well-formed: unknown lines, samples apart from their
 * family, a family twice, a sample twice. Written apart from the writer it checks.
 */
export function readExposition(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, ReadFamily>()
  let help: { name: string; text: string } | undefined
  let current: { name: string; family: ReadFamily } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.startsWith('# HELP ')) {
      const [, name, rest] = /^# HELP ([a-zA-Z_:][\w:]*) (.*)$/.exec(line) ?? fail(line)
      help = { name: name!, text: rest! }
    } else if (line.startsWith('# TYPE ')) {
      const [, name, type] =
        /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line) ?? fail(line)
      if (families.has(name!)) throw new Error(`${name} twice`)
      current = {
        name: name!,
        family: { type: type!, help: help?.name === name ? help!.text : '', samples: new Map() },
      }
      families.set(name!, current.family)
    } else if (line !== '' && !line.startsWith('#')) {
      const { name, labels, value } = readSample(line)
      const suffix = current === undefined ? undefined : name.slice(current.name.length)
      const suffixes = current?.family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      if (!name.startsWith(current?.name ?? ' ') || !suffixes.includes(suffix!)) throw new Error(`apart: ${line}`)
      const key = sampleKey(name, labels)
      if (current!.family.samples.has(key)) throw new Error(`twice: ${line}`)
      current!.family.samples.set(key, value)
    }
  }
  return families
}

function readSample(line: string): { name: string; labels: Record<string, string>; value: number } {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0] ?? fail(line)
  const labels: Record<string, string> = {}
  let at = name.length
  if (line[at] === '{') {
    at++
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_]\w*)="/.exec(line.slice(at)) ?? fail(line)
      at += label[0]!.length
      let value = ''
      for (; line[at] !== '"'; at++) {
        if (at >= line.length) fail(line)
        if (line[at] !== '\\') value += line[at]
        else value += { n: '\n', '\\': '\\', '"': '"' }[line[++at]!] ?? fail(line)
      }
      at++
      labels[label[1]!] = value
      if (line[at] === ',') at++
      else if (line[at] !== '}') fail(line)
    }
    at++
  }
  const number = /^ ([-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|Inf)|NaN)$/.exec(line.slice(at))?.[1] ?? fail(line)
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) }
}

function fail(line: string): never {
  throw new Error(`not exposition format: ${line}`)
}
