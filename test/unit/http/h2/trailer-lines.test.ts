import t from 'tap'
import { latin1 } from '../../../../src/http/bytes.js'
import { FieldList } from '../../../../src/http/h2/field-list.js'
import { HeadBuffer } from '../../../../src/http/h2/head-buffer.js'
import { trailersToLines } from '../../../../src/http/h2/trailer-lines.js'

t.test('RFC 9110 6.5.1: fields that may not come behind a body are no trailers by HTTP/2 either', async (t) => {
  const fields = new FieldList()
  const names = ['x-forwarded-for', 'x_forwarded_for', 'authorization', 'content-type', 'grpc-status', 'x-sum', 'host']
  for (const name of names) fields.push(latin1(name), 0, name.length, latin1('1'), 0, 1)
  const out = new HeadBuffer()
  t.equal(trailersToLines(fields, out), true)
  t.equal(Buffer.from(out.bytes.subarray(0, out.length)).toString('latin1'), 'grpc-status: 1\r\nx-sum: 1\r\n')
})
