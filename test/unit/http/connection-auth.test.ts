import t from 'tap'
import { latin1 } from '../../../src/http/bytes.js'
import { namesConnectionScheme } from '../../../src/http/connection-auth.js'

function names(value: string): boolean {
  const bytes = latin1(`<<${value}>>`)
  return namesConnectionScheme(bytes, 2, bytes.length - 2)
}

t.test('schemes that authenticate a connection are found wherever they stand in a list, in any case', async (t) => {
  for (const value of [
    'NTLM',
    'ntlm',
    'Negotiate',
    'NEGOTIATE YIIabc==',
    'NTLM TlRMTVNTUAAB',
    'Basic realm="a", NTLM',
    'Basic realm="a",NTLM',
    'Basic realm="a" ,\tNegotiate',
    'Negotiate, NTLM',
    ', ,nTlM',
    'Digest realm="a, b", qop="auth", Negotiate',
    'Basic realm="no end, NTLM',
  ]) {
    t.ok(names(value), value)
  }
})

t.test('others are not', async (t) => {
  for (const value of [
    '',
    ' ',
    ',',
    'Basic realm="NTLM"',
    'Basic dXNlcjpwYXNz',
    'Bearer negotiate',
    'NTLMv2',
    'x-ntlm',
    'Digest ntlm="x"',
    'Digest a=b, ntlm=c',
    'Negotiated',
  ]) {
    t.notOk(names(value), value)
  }
})
