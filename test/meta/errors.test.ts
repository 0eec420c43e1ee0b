import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ERROR_KINDS } from '../../src/core/errors.js'
import { REASONS } from '../../src/core/reasons.js'
import { HEALTH_REASONS } from '../../src/core/target-state.js'
import { packageRoot } from './sources.js'

/** The text, without its line breaks, under each `### CODE` of the part that begins with the given `## ` heading. */
function sections(markdown: string, part: string): Map<string, string> {
  const parts = markdown.split(/^## /m).filter((text) => text.startsWith(`${part}\n`))
  const found = new Map<string, string>()
  for (const section of (parts[0] ?? '').split(/^### /m).slice(1)) {
    const [code, ...text] = section.split('\n')
    found.set(code!.trim(), text.join(' ').replace(/\s+/g, ' ').trim())
  }
  return found
}

const errorsPage = readFileSync(join(packageRoot(), 'docs/ERRORS.md'), 'utf8')

t.test('every error code is explained in docs/ERRORS.md, and no other', async (t) => {
  const documented = sections(errorsPage, 'Error codes')
  t.same([...documented.keys()], Object.keys(ERROR_KINDS), 'in the order of the catalogue')
  for (const [code, { origin, retryable }] of Object.entries(ERROR_KINDS)) {
    const text = documented.get(code) ?? ''
    const facts = `Whose fault: ${origin}. Another target may be tried: ${retryable ? 'yes' : 'no'}.`
    t.match(text, facts, code)
    t.ok(text.length > facts.length + 40, `${code} says more than that`)
  }
})

t.test('every access log reason is explained in docs/ERRORS.md, and no other', async (t) => {
  const documented = sections(errorsPage, 'Reasons in the access log')
  t.same(
    [...documented.keys()],
    REASONS.map(({ code }) => code),
    'in the order of the catalogue',
  )
  for (const { code, fault } of REASONS) {
    const text = documented.get(code) ?? ''
    const family = fault === 'client' ? 'client' : 'server'
    if (fault !== 'none') t.match(text, `Counted in \`castor_${family}_errors_total\`.`, code)
    t.ok(text.length > 40, `${code} is explained`)
  }
})

t.test('every reason of health checks is explained in docs/ERRORS.md, and no other', async (t) => {
  const part = errorsPage.split(/^## /m).find((text) => text.startsWith('Reasons of health checks\n')) ?? ''
  const documented = [...part.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, reason]) => reason)
  t.same(
    documented,
    HEALTH_REASONS.filter((reason) => reason !== 'NONE'),
    'in the order of the catalogue',
  )
})

t.test('a missing section is noticed', async (t) => {
  const page = '# E\n\n## Error codes\n\n### A\n\ntext of A\n\n## Reasons in the access log\n\n### B\n\ntext\n'
  t.same([...sections(page, 'Error codes')], [['A', 'text of A']])
  t.same([...sections(page, 'Reasons in the access log').keys()], ['B'])
  t.equal(sections(page, 'Something else').size, 0)
})
