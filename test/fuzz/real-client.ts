import { connect, type Socket } from 'node:net'

/** What a client that sends one input over one connection gets. */
export interface Got {
  readonly port: number
  /** Final statuses. */
  readonly statuses: readonly number[]
  /** `origin` where the origin answered. */
  readonly bodies: readonly string[]
  readonly end: 'complete' | 'closed' | 'late'
  /** The head of the last answer. */
  readonly last: string
}

const TIMEOUT_MS = 4_000

/**
 * Sends `input` and reads answers to requests of these methods, and then resets. `onPort` is told the client's own port
 * before anything is sent.
 */
export function send(
  port: number,
  input: Buffer,
  methods: readonly string[],
  onPort: (port: number) => void,
): Promise<Got> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const reader = new AnswerReader(methods)
    let clientPort = 0
    const finish = (end: Got['end']): void => {
      clearTimeout(timer)
      socket.removeAllListeners()
      socket.on('error', () => {})
      // A reset, so that the system does not keep the port for a minute.
      socket.resetAndDestroy()
      resolve({ port: clientPort, statuses: reader.statuses, bodies: reader.bodies, end, last: reader.last })
    }
    const timer = setTimeout(() => finish('late'), TIMEOUT_MS)
    socket.on('connect', () => {
      clientPort = socket.localPort ?? 0
      onPort(clientPort)
      socket.write(input, () => {
        if (methods.length === 0) finish('complete')
      })
    })
    socket.on('data', (data) => {
      if (reader.feed(data.toString('latin1'))) finish('complete')
    })
    const closed = (): void => finish(reader.end() ? 'complete' : 'closed')
    socket.on('end', closed)
    socket.on('error', closed)
    socket.on('close', closed)
  })
}

/** Counts whole responses: those of Castor, nginx and HAProxy, which frame them well. */
class AnswerReader {
  readonly statuses: number[] = []
  readonly bodies: string[] = []
  last = ''
  readonly #methods: readonly string[]
  #text = ''

  constructor(methods: readonly string[]) {
    this.#methods = methods
  }

  /** True when there is an answer to every request. */
  feed(text: string): boolean {
    this.#text += text
    while (this.#one(false));
    return this.statuses.length >= this.#methods.length
  }

  /** The connection ended, and with it perhaps a body. */
  end(): boolean {
    this.#one(true)
    return this.statuses.length >= this.#methods.length
  }

  #one(ended: boolean): boolean {
    const headEnd = this.#text.indexOf('\r\n\r\n') + 4
    if (headEnd < 4) return false
    const head = this.#text.slice(0, headEnd)
    const status = Number(head.slice(9, 12))
    const method = this.#methods[this.statuses.length]
    if (status < 200) {
      this.#text = this.#text.slice(headEnd)
      return true
    }
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)
    let bodyEnd = headEnd
    if (method !== 'HEAD' && status !== 204 && status !== 304) {
      if (length !== null) bodyEnd += Number(length[1])
      else if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) bodyEnd = this.#text.indexOf('0\r\n\r\n', headEnd) + 5
      else bodyEnd = ended ? this.#text.length : Number.POSITIVE_INFINITY
    }
    if (bodyEnd < headEnd || this.#text.length < bodyEnd) return false
    this.last = head
    this.statuses.push(status)
    this.bodies.push(this.#text.slice(headEnd, bodyEnd))
    this.#text = this.#text.slice(bodyEnd)
    return true
  }
}
