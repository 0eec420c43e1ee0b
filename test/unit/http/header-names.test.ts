import t from 'tap'
import {
  HEADER_AUTHORIZATION,
  HEADER_CONNECTION,
  HEADER_CONTENT_LENGTH,
  HEADER_COOKIE,
  HEADER_HOST,
  HEADER_IDS,
  HEADER_KEEP_ALIVE,
  HEADER_LOOK_ALIKE_FLAG,
  HEADER_OTHER,
  HEADER_SET_COOKIE,
  HEADER_TE,
  HEADER_TRANSFER_ENCODING,
  HEADER_USER_AGENT,
  HEADER_X_FORWARDED_CLIENT_PORT,
  HEADER_X_FORWARDED_FOR,
  HEADER_X_FORWARDED_OTHER,
  HEADER_X_REQUEST_ID,
  headerId,
  lineHeaderId,
} from '../../../src/http/header-names.js'
import { bytes } from './heads.js'

const idOf = (name: string): number => {
  const buffer = bytes(`xx${name}yy`)
  return headerId(buffer, 2, 2 + name.length)
}

t.test('RFC 9110 5.1: names are known in any case', async (t) => {
  for (const [name, id] of [
    ['host', HEADER_HOST],
    ['connection', HEADER_CONNECTION],
    ['content-length', HEADER_CONTENT_LENGTH],
    ['transfer-encoding', HEADER_TRANSFER_ENCODING],
    ['te', HEADER_TE],
    ['cookie', HEADER_COOKIE],
    ['set-cookie', HEADER_SET_COOKIE],
    ['authorization', HEADER_AUTHORIZATION],
    ['x-forwarded-for', HEADER_X_FORWARDED_FOR],
    ['x-forwarded-client-port', HEADER_X_FORWARDED_CLIENT_PORT],
    ['x-forwarded-proto-x', HEADER_X_FORWARDED_OTHER],
    ['x-forwarded-ssl', HEADER_X_FORWARDED_OTHER],
    ['x-forwarded-', HEADER_OTHER],
    ['x-forwarded', HEADER_OTHER],
    ['x-forwardedx-for', HEADER_OTHER],
    ['hos', HEADER_OTHER],
    ['hosts', HEADER_OTHER],
    ['ho5t', HEADER_OTHER],
    ['x', HEADER_OTHER],
    ['x-anything', HEADER_OTHER],
  ] as const) {
    for (const spelled of [name, name.toUpperCase(), name.replace(/\b./g, (letter) => letter.toUpperCase())]) {
      t.equal(idOf(spelled), id, spelled)
    }
  }
})

t.test('known names have ids of their own', async (t) => {
  const known = [
    'accept',
    'x-real-ip',
    'www-authenticate',
    'vary',
    'user-agent',
    'via',
    'content-type',
    'if-match',
    'origin',
  ]
  const ids = known.map(idOf)
  t.equal(new Set(ids).size, known.length)
  t.ok(ids.every((id) => id > 0 && id < HEADER_IDS))
})

t.test('names with other punctuation for "-" are told apart from those that Castor writes', async (t) => {
  for (const [name, id] of [
    ['x_forwarded_for', HEADER_X_FORWARDED_FOR | HEADER_LOOK_ALIKE_FLAG],
    ['X_Forwarded-For', HEADER_X_FORWARDED_FOR | HEADER_LOOK_ALIKE_FLAG],
    ['x-forwarded_for', HEADER_X_FORWARDED_FOR | HEADER_LOOK_ALIKE_FLAG],
    ['x_forwarded-anything', HEADER_X_FORWARDED_OTHER | HEADER_LOOK_ALIKE_FLAG],
    ['Content_Length', HEADER_CONTENT_LENGTH | HEADER_LOOK_ALIKE_FLAG],
    ['transfer_encoding', HEADER_TRANSFER_ENCODING | HEADER_LOOK_ALIKE_FLAG],
    ['keep_alive', HEADER_KEEP_ALIVE | HEADER_LOOK_ALIKE_FLAG],
    ['x_request_id', HEADER_X_REQUEST_ID | HEADER_LOOK_ALIKE_FLAG],
    ['X.Forwarded.For', HEADER_X_FORWARDED_FOR | HEADER_LOOK_ALIKE_FLAG],
    ['x~forwarded|for', HEADER_X_FORWARDED_FOR | HEADER_LOOK_ALIKE_FLAG],
    ['x!forwarded!anything', HEADER_X_FORWARDED_OTHER | HEADER_LOOK_ALIKE_FLAG],
    ['content.length', HEADER_CONTENT_LENGTH | HEADER_LOOK_ALIKE_FLAG],
    ['user.agent', HEADER_OTHER],
    ['user_agent', HEADER_OTHER],
    ['User-Agent', HEADER_USER_AGENT],
    ['my_header', HEADER_OTHER],
  ] as const) {
    t.equal(idOf(name), id, name)
  }
})

t.test('a line of Castor names its header', async (t) => {
  t.equal(lineHeaderId(bytes('a: b\r\nx-request-id: 1\r\n'), 6), HEADER_X_REQUEST_ID)
})
