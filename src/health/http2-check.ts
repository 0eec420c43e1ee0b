import type { FieldList } from '../http/h2/field-list.js'
import type { HttpCheck } from './http-dialogue.js'
import type { Http2Question } from './http2-dialogue.js'
import { judgeStatus, PASSED, type ProbeFinding } from './probe-finding.js'

/** A GET over HTTP/2: the status alone says how the target is. */
export class Http2Get implements Http2Question {
  readonly fields: Http2Question['fields']
  readonly body = undefined
  readonly #codes: HttpCheck['codes']

  constructor(check: Pick<HttpCheck, 'path' | 'host' | 'codes'>, scheme: 'http' | 'https', address: string) {
    this.#codes = check.codes
    this.fields = [
      [':method', 'GET'],
      [':scheme', scheme],
      [':authority', check.host === '' ? address : check.host],
      [':path', check.path],
      ['user-agent', 'castor-health-check'],
      ['accept', '*/*'],
    ]
  }

  onHead(status: number): ProbeFinding {
    return judgeStatus(this.#codes, status)
  }

  // The head has decided already.

  onBody(): ProbeFinding {
    return PASSED
  }

  onTrailers(_fields: FieldList): ProbeFinding {
    return PASSED
  }

  onEnd(): ProbeFinding {
    return PASSED
  }
}
