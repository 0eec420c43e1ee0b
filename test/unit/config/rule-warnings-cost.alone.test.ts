import t from 'tap'
import { warnOfRules } from '../../../src/config/warn-of-rules.js'
import type { MatchConfig, RuleConfig } from '../../../src/core/config-rules.js'
import { leastCpuMs } from '../../cpu-time.js'
import { parse, SMALL } from './support.js'

const ANY: MatchConfig = {
  hosts: [],
  paths: [],
  pathRegex: '',
  methods: [],
  headers: [],
  query: [],
  cookies: [],
  sourceIp: [],
}
t.test('20,000 rules are checked in time that grows with their number alone', async (t) => {
  const shapes: Readonly<Record<string, (index: number) => MatchConfig>> = {
    'a path each': (index) => ({ ...ANY, paths: [`/${index}/*`] }),
    'a value each of one header': (index) => ({ ...ANY, headers: [{ name: 'x', is: 'equal', value: String(index) }] }),
    'an expression each of one header': (index) => ({
      ...ANY,
      headers: [{ name: 'x', is: 'matching', value: `^${index}$` }],
    }),
    'a header each': (index) => ({ ...ANY, headers: [{ name: `x${index}`, is: 'present', value: '' }] }),
    'an expression each': (index) => ({ ...ANY, pathRegex: `^/${index}$` }),
    'a network each': (index) => ({ ...ANY, sourceIp: [`10.${index >> 8}.${index & 255}.0/24`] }),
    'the same': () => ANY,
  }
  for (const [what, shape] of Object.entries(shapes)) {
    const config = parse(SMALL)
    const few = 2_000
    const configOf = (count: number) => {
      const rules = Array.from(
        { length: count },
        (_, index): RuleConfig => ({
          name: String(index + 1),
          match: shape(index),
          action: {
            type: 'redirect',
            status: 302,
            protocol: '${scheme}',
            host: '${host}',
            port: '${port}',
            path: '/x',
            query: '',
          },
        }),
      )
      const [listener] = config.listeners
      return {
        config: { ...config, listeners: [{ ...listener!, rules }] },
        tree: { listeners: [{ name: 'web', rules: rules.map(() => ({ redirect: { path: '/x' } })) }] },
      }
    }
    const [small, large] = [configOf(few), configOf(10 * few)]
    const cost = ({ config, tree }: typeof small) => leastCpuMs(1, () => warnOfRules(config, tree, () => {}))
    const [smallMs, largeMs] = [cost(small), cost(large)]
    t.comment(`${what}: ${smallMs.toFixed(0)} ms for ${few}, ${largeMs.toFixed(0)} ms for ${10 * few}`)
    t.ok(largeMs < 20 * smallMs + 200, `${what}: ten times as many cost ${largeMs} ms after ${smallMs} ms`)
    t.ok(largeMs < 3_000, what)
  }
})
