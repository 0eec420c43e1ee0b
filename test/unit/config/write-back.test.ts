import fc from 'fast-check'
import t from 'tap'
import { parse as parseYaml, stringify } from 'yaml'
import { editFile } from '../../../src/config/edit-file.js'
import { parseConfig } from '../../../src/config/load.js'
import { resolveTarget } from '../../../src/config/resolve.js'
import { editConfig, type TargetEdit } from '../../../src/config/write-back.js'
import { SEED } from '../../random.js'
import { MACHINE } from './support.js'

const OPTIONS = { env: { PORT: '9001', WEIGHT: '4' }, machine: MACHINE }
const read = (text: string) => parseConfig(text, 'test.yaml', OPTIONS)
const edit = (text: string, change: TargetEdit, inForce = read(text)) =>
  editFile(text, 'test.yaml', OPTIONS, inForce, change)

const HEAD = `# Balancer of the shop.
listeners:
  - { name: web, protocol: http, listen: 127.0.0.1:8080,   targetGroup: app }   # spaced as somebody liked it

targetGroups:
  # The shop itself.
  - name: app
    protocol: http
`
const BLOCK = `${HEAD}    targets:
      # In rack 1.
      - address: 10.0.0.1:\${PORT}   # the old one
        weight: 5      # half of what the others get
      - address: 10.0.0.2:9001

      - { address: "10.0.0.3:9001", id: three }
    slowStart: 5s
  - name: other
    protocol: http
    targets: [{ address: 10.0.0.9:9001 }, { address: 10.0.0.8:9001 }]
  - { name: none, protocol: http, targets: [] }
`
const target = (address: string, more: { id?: string; weight?: number } = {}) => {
  const [host, port] = address.split(/:(?=\d+$)/) as [string, string]
  return resolveTarget({ id: more.id, weight: more.weight ?? 10, address: { text: address, host, port: Number(port) } })
}
/** What is another line in the text after, as `-old` and `+new`. */
function changed(before: string, result: ReturnType<typeof edit>): string[] | string {
  if ('refused' in result) return result.refused
  const [old, now] = [before.split('\n'), result.text.split('\n')]
  let start = 0
  while (old[start] === now[start] && start < Math.min(old.length, now.length)) start++
  let end = 0
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end++
  return [
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...now.slice(start, now.length - end).map((line) => `+${line}`),
  ]
}

t.test('a change is written where it belongs, and every other byte stays', async (t) => {
  const cases: [string, TargetEdit, string[]][] = [
    [
      'a weight that is written',
      { type: 'weight', group: 'app', id: '10.0.0.1:9001', weight: 20 },
      [
        '-        weight: 5      # half of what the others get',
        '+        weight: 20      # half of what the others get',
      ],
    ],
    [
      'a weight that is not, in a block',
      { type: 'weight', group: 'app', id: '10.0.0.2:9001', weight: 0 },
      ['+        weight: 0'],
    ],
    [
      'a weight that is not, in braces',
      { type: 'weight', group: 'app', id: 'three', weight: 7 },
      [
        '-      - { address: "10.0.0.3:9001", id: three }',
        '+      - { address: "10.0.0.3:9001", id: three, weight: 7 }',
      ],
    ],
    [
      'a target behind the last, in its form',
      { type: 'add', group: 'app', target: target('10.0.0.4:9001', { id: 'four', weight: 3 }) },
      ['+      - { address: 10.0.0.4:9001, id: four, weight: 3 }'],
    ],
    [
      'a target in a list of one line',
      { type: 'add', group: 'other', target: target('::1:9001', { id: '[::1]:9001' }) },
      [
        '-    targets: [{ address: 10.0.0.9:9001 }, { address: 10.0.0.8:9001 }]',
        '+    targets: [{ address: 10.0.0.9:9001 }, { address: 10.0.0.8:9001 }, { address: "[::1]:9001" }]',
      ],
    ],
    [
      'the first target of an empty list',
      { type: 'add', group: 'none', target: target('a.internal:9001') },
      [
        '-  - { name: none, protocol: http, targets: [] }',
        '+  - { name: none, protocol: http, targets: [{ address: a.internal:9001 }] }',
      ],
    ],
    [
      'one that goes from a block',
      { type: 'remove', group: 'app', id: '10.0.0.1:9001' },
      [`-      - address: 10.0.0.1:\${PORT}   # the old one`, '-        weight: 5      # half of what the others get'],
    ],
    [
      'the last that goes',
      { type: 'remove', group: 'app', id: 'three' },
      ['-      - { address: "10.0.0.3:9001", id: three }'],
    ],
    [
      'one that goes from a line',
      { type: 'remove', group: 'other', id: '10.0.0.9:9001' },
      [
        '-    targets: [{ address: 10.0.0.9:9001 }, { address: 10.0.0.8:9001 }]',
        '+    targets: [{ address: 10.0.0.8:9001 }]',
      ],
    ],
    [
      'the last that goes from a line',
      { type: 'remove', group: 'other', id: '10.0.0.8:9001' },
      [
        '-    targets: [{ address: 10.0.0.9:9001 }, { address: 10.0.0.8:9001 }]',
        '+    targets: [{ address: 10.0.0.9:9001 }]',
      ],
    ],
  ]
  for (const [name, change, expected] of cases) t.same(changed(BLOCK, edit(BLOCK, change)), expected, name)
  const windows = BLOCK.replaceAll('\n', '\r\n')
  const weighed = edit(windows, { type: 'weight', group: 'app', id: '10.0.0.2:9001', weight: 0 })
  t.same(changed(windows, weighed), ['+        weight: 0\r'], 'lines end as they did')
  const gone = edit(windows, { type: 'remove', group: 'app', id: '10.0.0.2:9001' })
  t.same(changed(windows, gone), ['-      - address: 10.0.0.2:9001\r'])
})

t.test('the only target goes and an empty list is left', async (t) => {
  const text = `${HEAD}    targets:   # one
      - address: 10.0.0.1:9001
`
  const result = edit(text, { type: 'remove', group: 'app', id: '10.0.0.1:9001' })
  t.match(result, { text: `${HEAD}    targets: []   # one\n` })
  const open = text.trimEnd()
  t.match(
    edit(open, { type: 'add', group: 'app', target: target('10.0.0.2:9001') }),
    {
      text: `${open}\n      - address: 10.0.0.2:9001`,
    },
    'without a line end at the end',
  )
})

t.test('a file in JSON stays JSON', async (t) => {
  const text = JSON.stringify(parseYaml(BLOCK.replace(`\${PORT}`, '9001')))
  for (const change of [
    { type: 'weight', group: 'app', id: 'three', weight: 4 },
    { type: 'add', group: 'none', target: target('10.0.0.7:9001', { id: 'seven' }) },
    { type: 'add', group: 'other', target: target('10.0.0.7:9001', { id: 'seven', weight: 4 }) },
    { type: 'remove', group: 'app', id: 'three' },
  ] as const) {
    const result = edit(text, change)
    t.ok('text' in result && JSON.parse(result.text), change.type)
  }
})

t.test('what cannot be written without changing more is refused, with the reason', async (t) => {
  const aliased = `${HEAD}    targets: &all
      - &one { address: 10.0.0.1:9001 }
  - { name: other, protocol: http, targets: *all }
`
  const change = { type: 'weight', group: 'app', id: '10.0.0.1:9001', weight: 3 } as const
  t.match(edit(aliased, change), { refused: /change the file by hand/ })
  t.match(edit(aliased, { ...change, group: 'other' }), { refused: /by an alias/ })
  const referenced = BLOCK.replace('weight: 5', `weight: \${WEIGHT}`)
  t.match(edit(referenced, change), { refused: /comes from the environment/ })
  t.match(edit(BLOCK, { ...change, id: 'five' }), { refused: /the file has no target "five" in app/ })
  t.match(edit(BLOCK, { type: 'add', group: 'app', target: target('10.0.0.2:9001') }), {
    refused: /has a target .* already/,
  })
  const overridden = { ...OPTIONS, set: ['targetGroups.0.targets.0.weight=9'] }
  const inForce = parseConfig(BLOCK, 'test.yaml', overridden)
  t.match(
    editFile(BLOCK, 'test.yaml', overridden, inForce, change),
    { refused: /change the file by hand/ },
    '--set hides it',
  )
})

t.test('a file that says something else than what is in force is not written to', async (t) => {
  const change = { type: 'weight', group: 'app', id: 'three', weight: 3 } as const
  const other = BLOCK.replace('slowStart: 5s', 'slowStart: 9s')
  t.match(edit(other, change, read(BLOCK)), {
    refused: /changes that are not in force \(.*slowStart: 5s → 9s\); reload first/,
  })
  t.match(edit('listeners: [', change, read(BLOCK)), { refused: /the file has errors: test\.yaml:1:/ })
  t.match(
    edit(BLOCK.replace('slowStart: 5s', 'slowStart: 5\n    slow: 9s'), change, read(BLOCK)),
    { refused: /the file has errors: test\.yaml:\d+:\d+: [^\n]* \(and 1 more; castor check shows them all\)$/ },
    'in one line',
  )
  t.ok('text' in edit(`# A new comment.\n${BLOCK}`, change, read(BLOCK)), 'a comment is no difference')
})

const files = fc.record({
  weights: fc.array(fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }), { minLength: 1, maxLength: 4 }),
  indent: fc.constantFrom(2, 4),
  flow: fc.constantFrom(0, 4, 10),
  comment: fc.constantFrom('', ' what this is', ' - dash: [x'),
})

t.test('whatever the form of the file, what is written reads as what was wanted, or is refused', async (t) => {
  let written = 0
  fc.assert(
    fc.property(
      files,
      fc.constantFrom('weight', 'add', 'remove'),
      fc.nat(3),
      ({ weights, indent, flow, comment }, type, at) => {
        const targets = weights.map((weight, index) => ({
          address: `10.0.0.${index}:80`,
          ...(weight !== undefined && { weight }),
        }))
        const tree = {
          listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:8080', targetGroup: 'app' }],
          targetGroups: [{ name: 'app', protocol: 'http', targets, slowStart: '1s' }],
        }
        let text = stringify(tree, { indent, collectionStyle: flow === 4 ? 'flow' : 'any', indentSeq: flow !== 10 })
        if (comment !== '') text = text.replace(/(address: 10\.0\.0\.0:80)\n/, `$1 #${comment}\n`)
        const id = `10.0.0.${at % weights.length}:80`
        const change: TargetEdit =
          type === 'add'
            ? { type, group: 'app', target: target('10.0.1.1:80', { weight: at }) }
            : type === 'remove'
              ? { type, group: 'app', id }
              : { type: 'weight', group: 'app', id, weight: at }
        const result = edit(text, change)
        if ('refused' in result) return false
        written++
        const isWanted = JSON.stringify(read(result.text)) === JSON.stringify(editConfig(read(text), change))
        return isWanted && (type === 'remove' || !text.includes(comment) || result.text.includes(comment))
      },
    ),
    { seed: SEED, numRuns: 150 },
  )
  t.ok(written >= 150, `${written} were written`)
})
