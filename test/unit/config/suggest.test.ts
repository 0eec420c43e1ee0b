import t from 'tap'
import { didYouMean, editDistance, suggest } from '../../../src/config/suggest.js'

const KEYS = ['idleTimeout', 'targetGroup', 'targetGroups', 'listen', 'listeners', 'name', 'on']

t.test('the nearest candidate is proposed, and none where none is near', (t) => {
  const cases: [string, string | undefined][] = [
    ['idleTimout', 'idleTimeout'],
    ['IdleTimeout', 'idleTimeout'],
    ['idle_timeout', 'idleTimeout'],
    ['target-groups', 'targetGroups'],
    ['tragetGroup', 'targetGroup'],
    ['listenner', 'listeners'],
    ['lisen', 'listen'],
    ['nmae', 'name'],
    ['onn', 'on'],
    ['colour', undefined],
    ['xy', undefined],
    ['', undefined],
  ]
  for (const [written, meant] of cases) t.equal(suggest(written, KEYS), meant, written)
  t.end()
})

t.test('the proposal reads as a question, or is nothing', (t) => {
  t.equal(didYouMean('nmae', KEYS), ' (did you mean "name"?)')
  t.equal(didYouMean('zzzzzz', KEYS), '')
  t.equal(didYouMean('name', []), '')
  t.end()
})

t.test('a swap of neighbours counts as one slip', (t) => {
  const cases: [string, string, number][] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
  ]
  for (const [a, b, distance] of cases) {
    t.equal(editDistance(a, b), distance, `${a} → ${b}`)
    t.equal(editDistance(b, a), distance, `${b} → ${a}`)
  }
  t.end()
})
