import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/cli/package-files.js'
import { parseConfig } from '../../src/config/load.js'
import { ConfigError } from '../../src/config/problems.js'
import type { FuzzSubject } from './subject.js'

const AT_ONCE = 20
/** Processor time for one text of a few kilobytes. */
const BOUND_MS = 1_000
const MACHINE = { hostName: () => 'fuzz', cores: () => 2, stateDirectory: () => '/nowhere' }
/** What the examples and the fuzzer's references name. */
const ENV = { CASTOR_TOKEN: 'token', NAME: '7', EMPTY: '', SPECIAL: 'a: {b} # "c"\n- [' }

const at = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!

/** Pieces that mean something to YAML, to references, or to the fields of a configuration. */
const PIECES = [
  ...[
    '*a',
    '&a ',
    '<<: *a',
    '<<: [*a, *b]',
    '? ',
    '!!str ',
    '!!js/function ',
    '!x ',
    '|\n  text\n',
    '>-\n  x\n',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '# x\n',
  ],
  ...[
    '[',
    ']',
    '{',
    '}',
    ',',
    ': ',
    '- ',
    '"',
    "'",
    '\n',
    '\t',
    ' ',
    '\\',
    '\0',
    '\uFEFF',
    '\u2028',
    '\u0085',
    '\uE000\uE100\uE100',
    '\uD800',
    '💥',
  ],
  ...['${NAME}', '${', '$${NAME}', '${NAME:-x}', '${EMPTY:-${NAME}}', '${SPECIAL}', '${nothing}', '${host}'],
  ...['null', '~', 'true', 'off', 'on', '0', '-1', '1e400', '0x10', '.nan', '1.5', '9'.repeat(40), '00', '1_000'],
  ...[
    '5s',
    '5',
    '1.5h',
    '-1s',
    '9999999h',
    '1KiB',
    '500B/s',
    '10.0.0.0/8',
    '::/0',
    '127.0.0.1:0',
    '"[::1]:80"',
    '"[fe80::1%lo]:80"',
    'unix:/x',
    '/dev/zero',
    '/dev/null',
    '/',
    'localhost:80',
    '[::ffff:127.0.0.1]:8099',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'listeners',
    'targetGroups',
    'targets',
    'tls',
    'name',
    'listen',
    'redis',
    'vips',
  ],
] as const

/** Mutates real configurations and checks them: each ends in time, in a configuration or in problems with their place. */
export async function startConfigFiles(random: () => number): Promise<FuzzSubject> {
  const corpus = readCorpus()
  return {
    name: 'config',
    round: async (report) => {
      for (let i = 0; i < AT_ONCE; i++) {
        const [text, sets] = [mutate(corpus, random), random() < 0.2 ? [set(random)] : []]
        const faults = faultsOf(text, sets)
        if (faults.length > 0) report({ kind: 'file', input: Buffer.from(text), detail: sets.join(' '), faults })
      }
      return AT_ONCE
    },
    stop: async () => {},
  }
}

/** The examples, and every piece of YAML in the documents. */
function readCorpus(): string[] {
  const examples = join(packageRoot(), 'config/examples')
  const texts = readdirSync(examples, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(examples, name), 'utf8'))
  for (const name of ['CONFIGURATION.md', 'OPERATIONS.md']) {
    const document = readFileSync(join(packageRoot(), 'docs', name), 'utf8')
    for (const [, yaml] of document.matchAll(/```yaml\n([\s\S]*?)```/g)) texts.push(yaml!)
  }
  return texts
}

function mutate(corpus: readonly string[], random: () => number): string {
  let text = at(corpus, random)
  for (let count = 1 + Math.floor(random() * 6); count > 0; count--) {
    const lines = text.split('\n')
    const line = Math.floor(random() * lines.length)
    const place = Math.floor(random() * text.length)
    switch (Math.floor(random() * 10)) {
      case 0:
        lines.splice(line, 1 + Math.floor(random() * 3))
        text = lines.join('\n')
        break
      case 1:
        lines.splice(line, 0, ...lines.slice(line, line + 1 + Math.floor(random() * 5)))
        text = lines.join('\n')
        break
      case 2:
        lines[line] = `${' '.repeat(Math.floor(random() * 8))}${lines[line]!.trimStart()}`
        text = lines.join('\n')
        break
      case 3: {
        const other = at(corpus, random).split('\n')
        const from = Math.floor(random() * other.length)
        lines.splice(line, 0, ...other.slice(from, from + 1 + Math.floor(random() * 12)))
        text = lines.join('\n')
        break
      }
      // A value, or a key, by another.
      case 4:
      case 5:
        lines[line] = lines[line]!.replace(/(: *|- *)[^,}\]]*/, (_, before: string) => before + at(PIECES, random))
        text = lines.join('\n')
        break
      case 6:
        lines[line] = lines[line]!.replace(/[\w.-]+(?=:)/, () => at(PIECES, random))
        text = lines.join('\n')
        break
      case 7:
        text = text.slice(0, place) + at(PIECES, random).repeat(random() < 0.1 ? 200 : 1) + text.slice(place)
        break
      case 8:
        text = text.slice(0, place) + text.slice(place + 1 + Math.floor(random() * 20))
        break
      case 9: {
        // An anchor at a value, and its alias somewhere else.
        const marked = lines[line]!.replace(/: /, ': &a ')
        lines[line] = marked
        lines.splice(
          Math.floor(random() * lines.length),
          0,
          `${' '.repeat(Math.floor(random() * 6))}${at(['<<: *a', '- *a', 'x: *a'], random)}`,
        )
        text = lines.join('\n')
      }
    }
  }
  return text.slice(0, 20_000)
}

function set(random: () => number): string {
  const steps = [
    'listeners',
    '0',
    'listen',
    'admin',
    'token',
    'targetGroups',
    '__proto__',
    'tls',
    '1',
    'x',
    '',
    '99999999999',
  ]
  const path = Array.from({ length: 1 + Math.floor(random() * 4) }, () => at(steps, random)).join('.')
  return `${path}${random() < 0.9 ? '=' : ''}${at(PIECES, random)}${random() < 0.3 ? at(PIECES, random) : ''}`
}

/** What is wrong with how the text was taken. */
function faultsOf(text: string, sets: readonly string[]): string[] {
  const faults: string[] = []
  const { user, system } = process.cpuUsage()
  try {
    parseConfig(text, 'fuzz.yaml', { env: ENV, machine: MACHINE, set: sets, onWarning: () => {} })
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      faults.push(`threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    } else {
      faults.push(...misplaced(error, text))
    }
  }
  const spent = process.cpuUsage()
  const spentMs = (spent.user + spent.system - user - system) / 1_000
  if (spentMs > BOUND_MS) faults.push(`took ${spentMs} ms`)
  if ('polluted' in {}) faults.push('the prototype of all objects was changed')
  return faults
}

function misplaced({ problems, message }: ConfigError, text: string): string[] {
  const faults: string[] = []
  if (problems.length === 0) faults.push('failed without a problem')
  const lines = text.split(/\r\n|\n/)
  for (const { source, line, column, message } of problems) {
    if (message === '') faults.push('a problem without words')
    if (source.startsWith('--set ')) continue
    const length = lines[line - 1]?.length
    if (source !== 'fuzz.yaml' || length === undefined || column < 1 || column > length + 2) {
      faults.push(`the place ${source}:${line}:${column} is not in the text`)
    }
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(message))
    faults.push('what a terminal would obey')
  return faults
}
