import type { IncomingMessage } from 'node:http'

const MAX_BODY_BYTES = 4 * 1024

/** The body as JSON; undefined where it is none, or too long. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  return parseJson(await readBody(request))
}

/** The same where the body may be left out: an empty map then. */
export async function readOptionalJson(request: IncomingMessage): Promise<unknown> {
  const body = await readBody(request)
  return body === '' ? {} : parseJson(body)
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? '')
  } catch {
    return undefined
  }
}
