import { type CastorReading, readAsCastor } from './castor-reading.js'
import { type Message, PLAIN_METHODS, type Reading, readRequests } from './llhttp.js'
import type { MemoryCastor, Peer } from './memory-castor.js'
import { cutAt } from './pieces.js'

/** Why llhttp has no more messages although it has refused nothing. */
const UNFINISHED = new Set(['', 'HPE_INVALID_EOF_STATE'])

/**
 * What is wrong with the way one input of requests is taken; empty if nothing is. Three readings must agree on whatever
 * Castor accepts: the engine's by itself, what reached the target through the whole proxy, and llhttp's, strict and
 * lenient, of what the client sent and of what the target got.
 */
export function checkRequests(castor: MemoryCastor, input: Buffer, cuts: readonly number[]): string[] {
  const reading = readAsCastor(input)
  const faults: string[] = []
  for (const lenient of [false, true]) {
    // Alone among all that were tried, this one takes a tab there for another coding (docs/THREAT-MODEL.md).
    if (lenient && hasTabBehindCoding(input)) continue
    faults.push(
      ...compareWithInput(reading, readRequests(input, lenient)).map((fault) => `${nameOf(lenient)} ${fault}`),
    )
  }
  castor.begin()
  const client = castor.exchange(cutAt(input, cuts))
  faults.push(...checkForwarded(castor, reading), ...checkAnswers(client, reading))
  castor.close(client)
  if (castor.sessions > 0) faults.push('a session is left over')
  return faults
}

/** Whether a Transfer-Encoding ends in white space with a tab in it, which RFC 9110 5.5 leaves out of the value. */
export function hasTabBehindCoding(bytes: Uint8Array): boolean {
  return /transfer-encoding:[^\r\n]*\t[ \t]*\r\n/i.test(Buffer.from(bytes).toString('latin1'))
}

const nameOf = (lenient: boolean): string => `llhttp, ${lenient ? 'lenient' : 'strict'}:`

/** The client's own bytes: llhttp may refuse what Castor accepts, but never read it as something else. */
function compareWithInput(reading: CastorReading, { messages, error }: Reading): string[] {
  for (const [index, ours] of reading.accepted.entries()) {
    const theirs = messages[index]
    if (theirs === undefined || !theirs.complete) {
      if (!UNFINISHED.has(error)) return []
      return [`request ${index} is not whole (${error})`]
    }
    const differing = differences(theirs, { ...ours, target: ours.rawTarget, host: ours.rawHost })
    if (differing !== '') return [`request ${index}: ${differing}`]
    if (theirs.upgrade) return []
  }
  return []
}

interface Expected {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly body: string
}

function differences(theirs: Message, ours: Expected): string {
  if (theirs.method !== ours.method) return `method ${theirs.method}, not ${ours.method}`
  if (theirs.target !== ours.target) return `target ${theirs.target}, not ${ours.target}`
  if (theirs.hosts.join('\n') !== ours.host) return `Host ${theirs.hosts.join(' and ')}, not ${ours.host}`
  if (theirs.body !== ours.body) return `body ${JSON.stringify(theirs.body)}, not ${JSON.stringify(ours.body)}`
  return ''
}

/** What reached the target: plainly framed, what Castor accepted and nothing else, and llhttp says the same. */
function checkForwarded(castor: MemoryCastor, reading: CastorReading): string[] {
  const faults: string[] = []
  const came = castor.targets.flatMap(({ reader }) => reader.requests)
  const bodyless = reading.end === 'in-body' || reading.end === 'bad-body'
  for (const { reader, received } of castor.targets) {
    if (reader.fault !== '') faults.push(`the target got ${reader.fault}`)
    if (reader.rest !== '' && !bodyless) faults.push(`the target got a part: ${reader.rest}`)
    for (const lenient of [false, true]) {
      const { messages, error } = readRequests(Buffer.from(received, 'latin1'), lenient)
      const whole = messages.filter(({ complete }) => complete)
      const refused = !UNFINISHED.has(error) && error !== 'UPGRADE'
      const methods = [...reader.requests.map(({ method }) => method), reader.rest.split(' ')[0]!]
      const plain = methods.every((method) => method === '' || PLAIN_METHODS.has(method))
      if (refused && plain) {
        faults.push(`${nameOf(lenient)} refuses what the target got: ${error}`)
      }
      for (const [index, theirs] of whole.entries()) {
        const ours = reader.requests[index]
        const differing = ours === undefined ? 'one too many' : differences(theirs, ours)
        if (differing !== '') faults.push(`${nameOf(lenient)} the target's request ${index}: ${differing}`)
      }
      if (whole.length < reader.requests.length && !refused && error !== 'UPGRADE') {
        faults.push(`${nameOf(lenient)} sees ${whole.length} of ${reader.requests.length} requests`)
      }
    }
  }
  if (came.length !== reading.accepted.length) {
    return [...faults, `${came.length} requests came to the target, not ${reading.accepted.length}`]
  }
  for (const [index, ours] of reading.accepted.entries()) {
    const theirs = came[index]!
    for (const key of ['method', 'target', 'body', 'host'] as const) {
      // Without a Host of its own an HTTP/1.0 request gets one of the balancer's choice.
      if (theirs[key] !== ours[key] && !(key === 'host' && ours.host === '')) {
        faults.push(`the target's request ${index} has ${key} ${theirs[key]}, not ${ours[key]}`)
      }
    }
  }
  return faults
}

/** The client gets one answer a request, each whole, and then perhaps the refusal. */
function checkAnswers(client: Peer, reading: CastorReading): string[] {
  const expected = reading.accepted.map(() => 200)
  if (reading.refusal !== 0) expected.push(reading.refusal)
  const statuses: number[] = []
  let rest = client.received
  for (let index = 0; rest !== ''; index++) {
    const head = reading.accepted[index]?.method === 'HEAD'
    const match = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n/s.exec(rest)
    if (match === null) return [`this is no answer: ${rest}`]
    statuses.push(Number(match[1]))
    const length = head ? 0 : Number(/^content-length: (\d+)\r/im.exec(match[0])?.[1] ?? 0)
    rest = rest.slice(match[0].length + length)
  }
  const faults: string[] = []
  if (statuses.join() !== expected.join()) faults.push(`the answers are ${statuses.join()}, not ${expected.join()}`)
  const closes = reading.refusal !== 0 || reading.end === 'closed'
  if (closes !== (client.ended !== '')) faults.push(closes ? 'the connection stays open' : 'the connection is closed')
  return faults
}
