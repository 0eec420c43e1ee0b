import { METHOD_NAMES } from '../../src/http/methods.js'
import { type ResponseReading, readResponseAsCastor } from './castor-reading.js'
import { type Message, type Reading, readResponses } from './llhttp.js'
import type { MemoryCastor, Peer } from './memory-castor.js'
import { cutAt } from './pieces.js'
import { hasTabBehindCoding } from './request-oracle.js'

/** Longer than Castor takes. */
const CUT_MS = 1_200
const CUT_LOOKS = 4

export interface ResponseInput {
  readonly bytes: Buffer
  readonly cuts: readonly number[]
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly minor: 0 | 1
  /** The target ends its stream behind its bytes. */
  readonly closes: boolean
}

/**
 * What is wrong with the way one target's answer is passed on; empty if nothing is. What the engine decides about the
 * bytes, what the client gets and what llhttp makes of both, strict and lenient, must be the same response or none.
 */
export function checkResponse(castor: MemoryCastor, input: ResponseInput): string[] {
  const { bytes, method, minor, closes } = input
  const reading = readResponseAsCastor(bytes, (METHOD_NAMES as readonly string[]).indexOf(method), closes)
  const faults: string[] = []
  const head = method === 'HEAD'
  // Of answers Node's parser takes a tab there for another coding in both modes.
  if (reading.end === 'whole' && !hasTabBehindCoding(bytes)) {
    for (const lenient of [false, true]) {
      const fault = compareWhole(reading, readResponses(bytes, lenient, head))
      if (fault !== '') faults.push(`${nameOf(lenient)} of the target's bytes: ${fault}`)
    }
  }
  castor.begin()
  castor.answer = (peer) => {
    for (const piece of cutAt(bytes, input.cuts)) {
      peer.send(piece)
      castor.transport.flush()
    }
    if (closes) peer.conn.end()
  }
  const client = castor.connect()
  const length = method === 'POST' ? 'Content-Length: 0\r\n' : ''
  client.send(`${method} / HTTP/1.${minor}\r\nHost: h\r\n${length}\r\n`)
  castor.transport.flush()
  // What has no framing of its own is cut once what came of it has arrived, for which a tight buffer takes a while.
  for (let looks = 0; reading.end === 'cut' && minor === 0 && client.ended === '' && looks < CUT_LOOKS; looks++) {
    castor.elapse(CUT_MS)
  }
  faults.push(...checkClient(client, reading, input))
  if (castor.idleTargets > 0 && (reading.end !== 'whole' || reading.extra)) {
    faults.push('a connection that cannot be trusted is kept')
  }
  castor.close(client)
  if (castor.sessions > 0) faults.push('a session is left over')
  return faults
}

const nameOf = (lenient: boolean): string => `llhttp, ${lenient ? 'lenient' : 'strict'},`

/** The response that is not interim, and those before it. */
function final(messages: readonly Message[]): { interims: number[]; message: Message | undefined } {
  const at = messages.findIndex(({ status }) => status >= 200 || status === 101)
  const interims = at < 0 ? messages : messages.slice(0, at)
  return { interims: interims.map(({ status }) => status), message: messages[at] }
}

function compareWhole(reading: ResponseReading, { messages, error }: Reading): string {
  const { message } = final(messages)
  if (message === undefined || !message.complete) {
    return error === '' || error === 'HPE_INVALID_EOF_STATE' ? `not whole (${error})` : ''
  }
  if (message.status !== reading.status) return `status ${message.status}, not ${reading.status}`
  return message.body === reading.body ? '' : `body ${JSON.stringify(message.body)}`
}

function checkClient(client: Peer, reading: ResponseReading, input: ResponseInput): string[] {
  const faults: string[] = []
  const received = Buffer.from(client.received, 'latin1')
  for (const lenient of [false, true]) {
    const { messages, error } = readResponses(received, lenient, input.method === 'HEAD')
    const { interims, message } = final(messages)
    const fault = clientFault(client, reading, input, message, error)
    if (fault !== '') faults.push(`${nameOf(lenient)} of the client's bytes: ${fault}`)
    const expected = input.minor === 0 ? [] : reading.interims
    if (interims.join() !== expected.join()) faults.push(`the interim responses are ${interims.join()}`)
    if (messages.length > expected.length + 1) faults.push('a response too many')
  }
  return faults
}

function clientFault(
  client: Peer,
  reading: ResponseReading,
  input: ResponseInput,
  message: Message | undefined,
  error: string,
): string {
  switch (reading.end) {
    case 'whole':
      if (message === undefined || !message.complete) return `not whole: ${error}`
      if (message.status !== reading.status) return `status ${message.status}, not ${reading.status}`
      return message.body === reading.body ? '' : `body ${JSON.stringify(message.body)}`
    case 'nonsense':
    case 'switched':
      return message?.status === 502 && message.complete ? '' : `${message?.status} for what should be 502`
    case 'cut':
      if (client.ended === '') return 'it is not cut'
      // Where nothing frames the body for an HTTP/1.0 client, its end must not be an orderly one; a reset takes with it
      // what was not read yet.
      if (input.minor === 0 && client.ended === 'reset') return ''
      if (message?.status !== reading.status) return `status ${message?.status}, not ${reading.status}`
      return message.complete ? 'it looks whole' : ''
    case 'waits':
      if (client.ended !== '') return 'it did not wait'
      if (message === undefined) return ''
      return message.complete && input.minor === 1 ? 'it looks whole' : ''
  }
}
