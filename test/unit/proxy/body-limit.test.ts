import t from 'tap'
import type { Conn } from '../../../src/core/conn.js'
import { ChunkedDecoder } from '../../../src/http/chunked-decoder.js'
import { FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE } from '../../../src/http/response-parser.js'
import { BodyRelay } from '../../../src/proxy/h1/body-relay.js'

const scratch = new Uint8Array(4096)

function relayOf(framing: typeof FRAMING_CHUNKED | typeof FRAMING_UNTIL_CLOSE, most: number) {
  const body = new BodyRelay(new ChunkedDecoder({ maxHeaderBytes: 4096, maxHeaders: 16 }))
  body.begin(framing, -1, true)
  body.most = most
  let written = ''
  const target = {
    write: (buffer: Uint8Array, start: number, end: number) => {
      written += Buffer.from(buffer.subarray(start, end)).toString('latin1')
      return true
    },
  } as unknown as Conn
  return {
    body,
    come: (text: string) => body.relay(target, scratch, 0, Buffer.from(text, 'latin1'), 0, text.length),
    get written() {
      return written
    },
  }
}

t.test('a body that is as long as it may be is passed on whole', async (t) => {
  const relay = relayOf(FRAMING_CHUNKED, 10)
  relay.come('5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n')
  t.equal(relay.body.tooLong, false)
  t.equal(relay.body.done, true)
  t.match(relay.written, /hello\r\n[\s\S]*world\r\n0\r\n\r\n$/)
})

t.test('a target never gets the end of a body that is too long, though all of it comes at once', async (t) => {
  const relay = relayOf(FRAMING_CHUNKED, 10)
  relay.come('5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n')
  t.equal(relay.body.tooLong, true)
  t.equal(relay.body.done, false)
  t.match(relay.written, 'hello')
  t.notMatch(relay.written, /world|\r\n0\r\n/)
})

t.test('nor of one without any length, as HTTP/2 has them', async (t) => {
  const relay = relayOf(FRAMING_UNTIL_CLOSE, 10)
  relay.come('hello')
  relay.come('world!')
  t.equal(relay.body.tooLong, true)
  t.notMatch(relay.written, 'world')
})
