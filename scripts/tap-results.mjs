// Reads the TAP that a test file prints.
import { Parser } from 'tap-parser'

/** What tap itself says in comments. */
const OF_TAP = /^# (Subtest(:|$)|time=|\{ total:|No tests found|failed |passed |skip|todo)/

/**
 * Gathers every assertion below a parser into `results`, and what tests remark into `remarks`. The point by which a subtest is summed up counts only where it
 * says something that none of its own assertions did. Returns what is below so far.
 */
function gather(parser, results, remarks) {
  const own = { points: 0, failed: 0 }
  let inner = { points: 0, failed: 0 }
  parser.on('child', (child) => {
    inner = gather(child, results, remarks)
  })
  parser.on('assert', (result) => {
    const isSummary = result.closingTestPoint && (result.ok ? inner.points > 0 : inner.failed > 0)
    own.points += isSummary ? inner.points : 1
    if (isSummary) own.failed += inner.failed
    else if (!result.ok) own.failed++
    if (!isSummary) results.push(result)
    inner = { points: 0, failed: 0 }
  })
  parser.on('comment', (comment) => {
    const text = comment.trim()
    if (OF_TAP.test(text)) return
    const test = parser.name === '' ? '' : `${parser.name}: `
    remarks.push(test + text.replace(/^#\s*/, ''))
  })
  return own
}

/** Resolves at the end of the stream with the assertions, what tests remark, and what is wrong beyond them. */
export function readTap(stream) {
  const results = []
  const remarks = []
  const problems = []
  return new Promise((resolve) => {
    const parser = new Parser((summary) => {
      const { plan, failures, bailout } = summary
      if (bailout) problems.push(`it bailed out: ${bailout}`)
      for (const { tapError } of failures) if (tapError) problems.push(tapError)
      if (plan?.skipAll) {
        if (plan.skipReason === 'no tests found') problems.push('it has no tests')
        else results.push({ ok: true, skip: plan.skipReason || 'all', todo: false, fullname: 'all of it' })
      }
      resolve({ results, remarks, problems })
    })
    gather(parser, results, remarks)
    stream.pipe(parser)
  })
}
