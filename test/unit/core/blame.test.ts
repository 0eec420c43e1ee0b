import t from 'tap'
import { clientLossOf, dialFailureOf, targetFailureOf, targetLossOf } from '../../../src/core/blame.js'
import { CastorError, ERROR_KINDS, type ErrorCode } from '../../../src/core/errors.js'
import { faultOf } from '../../../src/core/fault.js'
import { REASONS } from '../../../src/core/reasons.js'

t.test('what counts against a target is what is its fault, and nothing else', async (t) => {
  for (const { code, fault } of REASONS) t.equal(targetFailureOf(code) !== undefined, fault === 'target', code)
})

t.test('an error of a connection is the fault of whoever is at its other end', async (t) => {
  for (const code of ['PEER_RESET', 'STREAM_RESET', 'TLS_TRUNCATED', 'TLS_FAILED', 'TLS_HANDSHAKE_FAILED'] as const) {
    t.equal(faultOf(new CastorError(code), 'client'), 'client', code)
    t.equal(faultOf(new CastorError(code), 'target'), 'target', code)
  }
})

t.test('what Castor, its host or its operator is to blame for counts against nobody else', async (t) => {
  const ours = (Object.keys(ERROR_KINDS) as ErrorCode[]).filter((code) =>
    ['castor', 'operator'].includes(ERROR_KINDS[code].origin),
  )
  for (const code of ours) {
    const cause = new CastorError(code)
    for (const reason of [dialFailureOf(cause), targetLossOf(cause, false), targetLossOf(cause, true)])
      t.equal(targetFailureOf(reason), undefined, `${code}: ${reason}`)
    t.equal(clientLossOf(cause), 'INTERNAL', code)
  }
  t.equal(dialFailureOf(new CastorError('LOCAL_SHORTAGE')), 'LOCAL_SHORTAGE')
})

t.test('the end of a connection has one reason on each side of Castor', async (t) => {
  const reset = new CastorError('PEER_RESET')
  const cases = [
    [clientLossOf(undefined), 'CLIENT_CLOSED'],
    [clientLossOf(reset), 'CLIENT_RESET'],
    [clientLossOf(new CastorError('REQUEST_MALFORMED')), 'BAD_BODY'],
    [clientLossOf(new CastorError('RESPONSE_MALFORMED')), 'BAD_RESPONSE'],
    [dialFailureOf(undefined), 'CONNECT_FAILED'],
    [dialFailureOf(new CastorError('CONNECT_FAILED')), 'CONNECT_FAILED'],
    [dialFailureOf(new CastorError('TLS_HANDSHAKE_FAILED')), 'TARGET_TLS_FAILED'],
    [targetLossOf(undefined, false), 'TARGET_RESET'],
    [targetLossOf(reset, false), 'TARGET_RESET'],
    [targetLossOf(reset, true), 'TARGET_CUT'],
  ] as const
  for (const [found, expected] of cases) t.equal(found, expected)
})
