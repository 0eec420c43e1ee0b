/** A request as a target took it in. */
export interface ReceivedRequest {
  readonly method: string
  readonly target: string
  readonly host: string
  /** Field lines, as they came. */
  readonly lines: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
  /** The head's bytes. */
  readonly head: string
}

const HEAD = /^([^ \r\n]+) ([^ \r\n]+) HTTP\/1\.1\r\n((?:[^\s:]+: [^\r\n]*\r\n)*)\r\n$/
const HEAD_OF_OTHERS = /^([^ \r\n]+) ([^ \r\n]+) HTTP\/1\.[01]\r\n((?:[^\s:]+: ?[^\r\n]*\r\n)*)\r\n$/

/**
 * Reads requests out of the bytes that a target gets, and knows only the one form that a good front writes: anything else
 * is a fault, and after it nothing is read. It shares no code with the balancer.
 */
export class RequestReader {
  readonly requests: ReceivedRequest[] = []
  /** What was not in that form. */
  fault = ''
  #bytes = ''
  readonly #ofOthers: boolean

  /** `ofOthers`: another proxy writes what is read, which may leave out Host and pass on framing as the client wrote it. */
  constructor(ofOthers = false) {
    this.#ofOthers = ofOthers
  }

  /** Bytes of a request that is not whole yet. */
  get rest(): string {
    return this.#bytes
  }

  /** Takes bytes as Latin-1 text; answers how many requests became whole. */
  feed(text: string): number {
    const before = this.requests.length
    this.#bytes += text
    while (this.fault === '' && this.#readOne());
    return this.requests.length - before
  }

  #readOne(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = this.#bytes.slice(0, end + 4)
    const match = (this.#ofOthers ? HEAD_OF_OTHERS : HEAD).exec(head)
    if (match === null) return this.#fail(`no plain head: ${head}`)
    const [, method = '', target = '', fields = ''] = match
    const lines = fields.split('\r\n').slice(0, -1)
    const values = (name: string): string[] =>
      lines.filter((line) => line.toLowerCase().startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
    const [host = this.#ofOthers ? '' : undefined, ...hosts] = values('host')
    const lengths = values('content-length')
    const codings = values('transfer-encoding')
    if (host === undefined || hosts.length > 0) return this.#fail(`not one Host: ${head}`)
    if (lengths.length + codings.length > 1) return this.#fail(`not one framing: ${head}`)
    const request = { method, target, host, lines, head }
    if (codings.length === 1) {
      if (this.#ofOthers ? !/chunked/i.test(codings[0]!) : codings[0] !== 'chunked')
        return this.#fail(`a coding: ${head}`)
      return this.#readChunks(request, end + 4)
    }
    const length = lengths[0] ?? '0'
    if (!(this.#ofOthers ? /^\d+$/ : /^(0|[1-9]\d*)$/).test(length)) return this.#fail(`a length: ${head}`)
    const bodyEnd = end + 4 + Number(length)
    if (this.#bytes.length < bodyEnd) return false
    this.requests.push({ ...request, body: this.#bytes.slice(end + 4, bodyEnd), trailers: [] })
    this.#bytes = this.#bytes.slice(bodyEnd)
    return true
  }

  #readChunks(request: Omit<ReceivedRequest, 'body' | 'trailers'>, from: number): boolean {
    let body = ''
    for (let at = from; ; ) {
      const lineEnd = this.#bytes.indexOf('\r\n', at)
      if (lineEnd < 0) return false
      const size = this.#bytes.slice(at, lineEnd)
      if (!(this.#ofOthers ? /^[0-9a-f]+$/i : /^(0|[1-9a-f][0-9a-f]*)$/).test(size))
        return this.#fail(`a chunk size: ${size}`)
      const dataEnd = lineEnd + 2 + Number.parseInt(size, 16)
      if (Number.parseInt(size, 16) === 0) {
        const last = this.#bytes.startsWith('\r\n', dataEnd) ? dataEnd : this.#bytes.indexOf('\r\n\r\n', dataEnd) + 2
        if (last < dataEnd) return false
        const trailers = this.#bytes.slice(dataEnd, last).split('\r\n').slice(0, -1)
        this.requests.push({ ...request, body, trailers })
        this.#bytes = this.#bytes.slice(last + 2)
        return true
      }
      if (this.#bytes.length < dataEnd + 2) return false
      if (!this.#bytes.startsWith('\r\n', dataEnd)) return this.#fail('a chunk not ended by CRLF')
      body += this.#bytes.slice(lineEnd + 2, dataEnd)
      at = dataEnd + 2
    }
  }

  #fail(fault: string): false {
    this.fault = fault
    return false
  }
}
