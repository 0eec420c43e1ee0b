import t from 'tap'
import { LATER } from '../../../src/config/later.js'
import { problemsOf, SMALL } from './support.js'

/** A value of each later part, as the documentation shows it. */
const EXAMPLES: Readonly<Record<string, string>> = {
  availabilityGroups: '[{ name: web, min: 2 }]',
  'targetGroups.0.availabilityGroup': 'web',
}

t.test('each key of a later part is refused as not supported yet, once, and not called unknown', (t) => {
  const paths = LATER.map((later) => later.replace('*', '0'))
  t.same([...paths].sort(), Object.keys(EXAMPLES).sort(), 'the table and its examples name the same keys')
  for (const [path, value] of Object.entries(EXAMPLES)) {
    const problems = problemsOf(SMALL, { set: [`${path}=${value}`] })
    t.equal(problems.length, 1, `${path}: ${problems.join('\n')}`)
    t.match(problems[0], new RegExp(`: ${path.replaceAll('.', '\\.')}: .*is not supported yet in this version`), path)
  }
  t.end()
})

t.test('a later key is shown where it stands in the file', (t) => {
  const text = SMALL.replace('    targets:', '    availabilityGroup: web\n    targets:')
  t.same(problemsOf(text), [
    'test.yaml:9:5: targetGroups.0.availabilityGroup: is not supported yet in this version; leave it out',
  ])
  t.end()
})
