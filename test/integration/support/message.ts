import type { ByteReader } from './byte-reader.js'

export type Fields = readonly (readonly [name: string, value: string])[]
export type Framing = 'none' | 'length' | 'chunked' | 'close'

/** The first line and the fields of a message, as they came. */
export interface Head {
  readonly startLine: string
  readonly fields: Fields
}

export interface Body {
  readonly framing: Framing
  readonly body: Buffer
  /** The lines that announced chunks, the last one included, as they came. */
  readonly chunkLines: readonly string[]
  readonly trailers: Fields
}

/**
 * A plain reader of HTTP/1 messages for tests: shares nothing with the one that is tested, and takes what comes by the
 * letter, so that a test can say what exactly was sent.
 */
export async function readHead(reader: ByteReader): Promise<Head> {
  const startLine = await reader.line()
  return { startLine, fields: await readFields(reader) }
}

async function readFields(reader: ByteReader): Promise<Fields> {
  const fields: [string, string][] = []
  for (;;) {
    const line = await reader.line()
    if (line === '') return fields
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error(`no field line: ${JSON.stringify(line)}`)
    fields.push([line.slice(0, colon), line.slice(colon + 1).trim()])
  }
}

/** Every value of the field, in order. */
export function values(fields: Fields, name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}

/** The field's value; undefined where it is missing. Throws where it is there twice. */
export function value(fields: Fields, name: string): string | undefined {
  const all = values(fields, name)
  if (all.length > 1) throw new Error(`${name} came ${all.length} times: ${all.join(' | ')}`)
  return all[0]
}

const NO_BODY: Body = { framing: 'none', body: Buffer.alloc(0), chunkLines: [], trailers: [] }

export function requestFraming(head: Head): Framing {
  if (value(head.fields, 'transfer-encoding') !== undefined) return 'chunked'
  return value(head.fields, 'content-length') === undefined ? 'none' : 'length'
}

export function responseFraming(head: Head, status: number, method: string): Framing {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none'
  const framing = requestFraming(head)
  return framing === 'none' ? 'close' : framing
}

export async function readBody(reader: ByteReader, head: Head, framing: Framing): Promise<Body> {
  switch (framing) {
    case 'none':
      return NO_BODY
    case 'length':
      return { ...NO_BODY, framing, body: await reader.bytes(Number(value(head.fields, 'content-length'))) }
    case 'close':
      return { ...NO_BODY, framing, body: await reader.rest() }
    case 'chunked':
      return readChunks(reader)
  }
}

async function readChunks(reader: ByteReader): Promise<Body> {
  const parts: Buffer[] = []
  const chunkLines: string[] = []
  for (;;) {
    const line = await reader.line()
    chunkLines.push(line)
    const size = Number.parseInt(line, 16)
    if (!(size >= 0)) throw new Error(`no chunk size: ${JSON.stringify(line)}`)
    if (size === 0) {
      const trailers = await readFields(reader)
      return { framing: 'chunked', body: Buffer.concat(parts), chunkLines, trailers }
    }
    parts.push(await reader.bytes(size))
    const end = await reader.line()
    if (end !== '') throw new Error(`chunk longer than announced: ${JSON.stringify(end)}`)
  }
}
