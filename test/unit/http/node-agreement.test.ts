import { once } from 'node:events'
import { createServer, type IncomingMessage, METHODS } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { CHUNK_DATA, CHUNK_END, ChunkedDecoder } from '../../../src/http/chunked-decoder.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { SEED } from '../../random.js'
import { ACCEPTED_REQUESTS, bytes, feed, headersOf, LIMITS, mutated } from './heads.js'

t.comment(`seed ${SEED}`)

interface Understood {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly bodyBytes: number
}

/** What node:http makes of the first request in `input`: `undefined` when it refuses it or waits for more. */
async function makeNodeReader(t: {
  teardown(handler: () => void): void
}): Promise<(input: Uint8Array) => Promise<Understood | undefined>> {
  let arrived: ((understood: Understood | undefined) => void) | undefined
  const server = createServer((request: IncomingMessage, response) => {
    let bodyBytes = 0
    const headers: string[] = []
    for (let i = 0; i < request.rawHeaders.length; i += 2)
      headers.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`)
    request.on('data', (data: Buffer) => {
      bodyBytes += data.length
    })
    request.on('end', () => {
      arrived?.({ method: request.method ?? '', target: request.url ?? '', headers, bodyBytes })
      response.end()
    })
    request.on('error', () => arrived?.(undefined))
  })
  server.on('checkContinue', (request, response) => server.emit('request', request, response))
  server.on('clientError', (_error, socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return async (input) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    const understood = new Promise<Understood | undefined>((resolve) => {
      arrived = resolve
      socket.on('close', () => resolve(undefined))
    })
    // The end makes node:http give up on what is not whole, so that nothing has to wait.
    socket.end(input)
    const result = await understood
    arrived = undefined
    socket.destroy()
    return result
  }
}

/** What Castor makes of it: `undefined` when it refuses it or it is not whole. */
function readAsCastor(input: Uint8Array): Understood | undefined {
  const read = feed(new RequestParser(LIMITS), input)
  const { parser, buffer, start } = read
  if (read.outcome !== PARSE_COMPLETE) return undefined
  const body = start + parser.headLength
  const end = start + input.length
  let bodyBytes = 0
  if (parser.chunked) {
    const decoder = new ChunkedDecoder(LIMITS)
    let outcome = decoder.next(buffer, body, end)
    for (; outcome === CHUNK_DATA; outcome = decoder.next(buffer, decoder.position, end)) {
      bodyBytes += decoder.dataEnd - decoder.dataStart
    }
    if (outcome !== CHUNK_END) return undefined
  } else if (parser.contentLength > 0) {
    if (end - body < parser.contentLength) return undefined
    bodyBytes = parser.contentLength
  }
  return {
    method: parser.text(buffer, start, parser.methodStart, parser.methodEnd),
    target: parser.text(buffer, start, parser.targetStart, parser.targetEnd),
    headers: headersOf(read).map(([name, value]) => `${name}: ${value}`),
    bodyBytes,
  }
}

const withBody = (head: string): string =>
  head.includes('chunked')
    ? `${head}4;x=y\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n`
    : head.includes('Length')
      ? `${head}12345`
      : head
const SEEDS = [
  ...ACCEPTED_REQUESTS.map(withBody),
  'POST /a|b?c{d}[]^`\\%zz HTTP/1.1\r\nHost: h\r\nContent-Length: 0003\r\n\r\nabcGET /next HTTP/1.1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nA;q="\\""\r\n0123456789\r\n0\r\n\r\nGET',
]

t.test('what Castor accepts, node:http reads the same', async (t) => {
  const nodeReads = await makeNodeReader(t)
  for (const seed of SEEDS) {
    const ours = readAsCastor(bytes(seed))
    t.ok(ours !== undefined, `accepted: ${JSON.stringify(seed)}`)
    t.same(await nodeReads(bytes(seed)), ours, JSON.stringify(seed))
  }
  let compared = 0
  await fc.assert(
    fc.asyncProperty(mutated(SEEDS, 2), async (input) => {
      const ours = readAsCastor(input)
      if (ours === undefined) return
      // Methods that Node has no number for are the one thing it refuses and Castor does not.
      if (!METHODS.includes(ours.method)) return
      compared++
      t.same(await nodeReads(input), ours, JSON.stringify(Buffer.from(input).toString('latin1')))
    }),
    { seed: SEED, numRuns: 1000 },
  )
  t.ok(compared > 100, `${compared} inputs were accepted`)
})
