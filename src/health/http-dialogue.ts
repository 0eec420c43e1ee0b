import { PARSE_COMPLETE, PARSE_INCOMPLETE } from '../http/head-layout.js'
import { ResponseParser } from '../http/response-parser.js'
import type { ProbeDialogue } from './probe.js'
import { judgeStatus, malformed, type ProbeFinding, type StatusRanges } from './probe-finding.js'

const LIMITS = { maxHeaderBytes: 32 * 1024, maxHeaders: 256, maxTargetBytes: 8 * 1024 }

export interface HttpCheck {
  readonly path: string
  /** Host field; the target's own address when empty. */
  readonly host: string
  readonly version: '1.0' | '1.1'
  /** Status codes that count as well. */
  readonly codes: StatusRanges
  /** As in the target's group. */
  readonly tolerate: number
}

/** The host of a Host field alone: what TLS knows a server by has no port (RFC 6066 3) and no brackets. */
export function serverName(host: string): string {
  return /^\[([^\]]*)\]/.exec(host)?.[1] ?? host.replace(/^([^:]*):\d*$/, '$1')
}

/** Asks once and looks at the status alone; interim responses are passed over. */
export class HttpDialogue implements ProbeDialogue {
  readonly request: Uint8Array
  readonly #codes: HttpCheck['codes']
  readonly #parser = new ResponseParser(LIMITS)
  #received: Uint8Array = new Uint8Array(0)

  constructor(check: HttpCheck, address: string) {
    const lines = [
      `GET ${check.path} HTTP/${check.version}`,
      `Host: ${check.host === '' ? address : check.host}`,
      'User-Agent: castor-health-check',
      'Accept: */*',
      'Connection: close',
    ]
    this.request = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    this.#codes = check.codes
    this.#parser.tolerate(check.tolerate)
  }

  onData(buffer: Uint8Array, length: number): ProbeFinding | undefined {
    this.#received = Buffer.concat([this.#received, buffer.subarray(0, length)])
    for (;;) {
      const outcome = this.#parser.parse(this.#received, 0, this.#received.length)
      if (outcome === PARSE_INCOMPLETE) return undefined
      if (outcome !== PARSE_COMPLETE) return malformed(whatElse(this.#received, this.#parser.errorDetail))
      const { status } = this.#parser
      if (status >= 200 || status === 101) return judgeStatus(this.#codes, status)
      this.#received = this.#received.subarray(this.#parser.headLength)
      this.#parser.reset()
      if (this.#received.length === 0) return undefined
    }
  }
}

/** A frame's length, type and flags: SETTINGS, with which HTTP/2 begins (RFC 9113 3.4). */
const SETTINGS_TYPE = 4

function whatElse(received: Uint8Array, fault: string): string {
  const isHttp2 = received[0] === 0 && received[1] === 0 && received[3] === SETTINGS_TYPE
  return isHttp2
    ? 'the target speaks HTTP/2; write protocol: h2c, or h2 with TLS'
    : `no head of an HTTP/1 response: ${fault}`
}
