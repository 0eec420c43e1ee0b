import { Counter, Gauge, Registry } from 'prom-client'
import t from 'tap'
import { Exposition } from '../../../src/observe/prometheus.js'
import { readExposition, sampleKey } from './prometheus-reader.js'

t.test('labels of every kind are read back as they were given', async (t) => {
  const values = ['plain', 'quo"te', 'back\\slash', 'new\nline', '\\n', '"', '', 'é😀', 'a,b="c"}']
  const out = new Exposition().family('x_total', 'counter', 'Help with \\ and\nnew line.')
  for (const [index, value] of values.entries()) out.sample({ name: value, n: String(index) }, index)
  const family = readExposition(out.text()).get('x_total')!
  t.equal(family.help, 'Help with \\\\ and\\nnew line.')
  for (const [index, value] of values.entries()) {
    t.equal(family.samples.get(sampleKey('x_total', { name: value, n: String(index) })), index, JSON.stringify(value))
  }
})

t.test('numbers are written in full', async (t) => {
  const values = [0, 1, -1.5, 1e21, 1e-9, 2 ** 53, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
  const out = new Exposition().family('x', 'gauge', 'h')
  for (const [index, value] of values.entries()) out.sample({ n: String(index) }, value)
  const samples = readExposition(out.text()).get('x')!.samples
  for (const [index, value] of values.entries()) {
    t.ok(Object.is(samples.get(sampleKey('x', { n: String(index) })), value), String(value))
  }
})

t.test('the text says the same as that of prom-client', async (t) => {
  const register = new Registry()
  const counter = new Counter({
    name: 'a_total',
    help: 'Some "help" \\ here',
    labelNames: ['l'],
    registers: [register],
  })
  const gauge = new Gauge({ name: 'b', help: 'h', registers: [register] })
  counter.inc({ l: 'x"y\\z\n' }, 3)
  counter.inc({ l: 'é' }, 0.25)
  gauge.set(-2)
  const out = new Exposition()
  out.family('a_total', 'counter', 'Some "help" \\ here').sample({ l: 'x"y\\z\n' }, 3).sample({ l: 'é' }, 0.25)
  out.family('b', 'gauge', 'h').sample({}, -2)
  t.same(readExposition(out.text()), readExposition(await register.metrics()))
})

t.test('the reader refuses what is not well-formed', async (t) => {
  const head = '# TYPE a counter\n'
  for (const text of [
    'a 1\n',
    `${head}a 1`,
    `${head}b 1\n`,
    `${head}a{x=1} 1\n`,
    `${head}a 1\na 1\n`,
    `${head}a x\n`,
  ]) {
    t.throws(() => readExposition(text), JSON.stringify(text))
  }
})
