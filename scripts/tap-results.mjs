// Reads the TAP that a test file prints.
import { Parser } from 'tap-parser'

/**
 * Gathers every assertion below a parser into `results`. The point by which a subtest is summed up counts only where it
 * says something that none of its own assertions did. Returns what is below so far.
 */
function gather(parser, results) {
  const own = { points: 0, failed: 0 }
  let inner = { points: 0, failed: 0 }
  parser.on('child', (child) => {
    inner = gather(child, results)
  })
  parser.on('assert', (result) => {
    const isSummary = result.closingTestPoint && (result.ok ? inner.points > 0 : inner.failed > 0)
    own.points += isSummary ? inner.points : 1
    if (isSummary) own.failed += inner.failed
    else if (!result.ok) own.failed++
    if (!isSummary) results.push(result)
    inner = { points: 0, failed: 0 }
  })
  return own
}

/** Resolves at the end of the stream with the assertions, and with what is wrong beyond them. */
export function readTap(stream) {
  const results = []
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
      resolve({ results, problems })
    })
    gather(parser, results)
    stream.pipe(parser)
  })
}
