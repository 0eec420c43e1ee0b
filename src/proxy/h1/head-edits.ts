// Hot path of rules with edits: once per request of such a rule, and nothing for others.
import { latin1 } from '../../http/bytes.js'
import { HEADER_ID, HEADER_STRIDE, VALUE_END, VALUE_START } from '../../http/head-layout.js'
import { HEADER_DROPPED, HEADER_SET_COOKIE, lineHeaderId } from '../../http/header-names.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions, RewrittenTarget } from '../../http/request-writer.js'
import type { ResponseParser } from '../../http/response-parser.js'
import type { ResponseHeadOptions } from '../../http/response-writer.js'
import { nameTarget, TARGET_LATER } from '../../route/header-edits.js'
import { RequestPath } from '../../route/request-path.js'
import type { Rewrite } from '../../route/rewrite.js'
import { cookieBack, locationBack, type Rewritten } from '../../route/rewrite-back.js'
import { ByteText, type TemplateFacts } from '../../route/template.js'
import type { RequestInfo } from '../request-info.js'
import type { RuleEdits } from '../rule-edits.js'
import type { Requester } from './requester.js'
import { factsOf } from './template-facts.js'

// Read before the next head is written.
const lines = new ByteText()
const path = new RequestPath()
const rewritten: RewrittenTarget = { bytes: new Uint8Array(0), targetEnd: 0, hostEnd: 0 }

/** Fields that are written back may come to so much: the head has to fit into scratch, with everything else. */
const MAX_BACK_BYTES = 48 * 1024

const LOCATION_ID = lineHeaderId(latin1('location:'), 0)

/** What the rule of one request changes of its head and of its answer's, which is written when the request is gone. */
export class HeadEdits {
  readonly #answer = new ByteText()
  /** How the request was rewritten, where its answer is rewritten back. */
  #back: Rewritten | undefined

  /**
   * Edits the request whose head begins at `start`: what changes goes into `options`. Returns 0, or with what status the
   * request is to be refused.
   */
  begin(
    edits: RuleEdits,
    session: Requester,
    info: RequestInfo,
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
    options: RequestHeadOptions,
  ): number {
    const facts = factsOf(session, info, parser, buffer, start, TARGET_LATER)
    this.#answer.clear()
    lines.clear()
    const { response } = edits
    if (response !== undefined && response.ofTarget === undefined && !response.write(this.#answer, facts)) return 431
    if (edits.rewrite !== undefined) {
      const status = this.#rewrite(edits, edits.rewrite, facts, options)
      if (status !== 0) return status
    }
    if (edits.request === undefined) return 0
    if (!edits.request.write(lines, facts)) return 431
    options.added = lines.bytes
    options.addedLength = lines.length
    // Last: variables are of what came.
    edits.request.drop(parser, buffer, start)
    return 0
  }

  #rewrite(edits: RuleEdits, rewrite: Rewrite, facts: TemplateFacts, options: RequestHeadOptions): number {
    const { parser, buffer, start } = facts
    path.take(parser, buffer, start)
    const status = rewrite.write(facts, path)
    if (status !== 0) return status
    rewritten.bytes = rewrite.out.bytes
    rewritten.targetEnd = rewrite.targetEnd
    rewritten.hostEnd = rewrite.hostEnd
    options.rewritten = rewritten
    this.#back = undefined
    if (edits.backPrefix === undefined) return 0
    const clientHost = parser.hostStart < 0 ? '' : parser.text(buffer, start, parser.hostStart, parser.hostEnd)
    const { bytes, targetEnd, hostEnd } = rewritten
    this.#back = {
      clientPrefix: edits.backPrefix === '' ? '' : rewrite.prefix,
      targetPrefix: rewrite.prefix === '' ? '' : edits.backPrefix,
      clientHost,
      targetHost: hostEnd > targetEnd ? parser.text(bytes, 0, targetEnd, hostEnd) : clientHost,
      scheme: facts.scheme,
    }
    return 0
  }

  /** Edits the answer that `target` gave. To be called when nothing else is to be read of its head. */
  answer(
    edits: RuleEdits,
    target: string,
    parser: ResponseParser,
    buffer: Uint8Array,
    start: number,
    options: ResponseHeadOptions,
  ): void {
    edits.response?.drop(parser, buffer, start)
    const back = edits.backPrefix === undefined ? undefined : this.#back
    const ready = edits.response?.ofTarget?.of(target)
    if (ready !== undefined && back === undefined) {
      options.added = ready
      options.addedLength = ready.length
      return
    }
    let added = this.#answer
    if (back !== undefined || edits.response?.namesTarget) {
      lines.clear()
      if (ready !== undefined) lines.put(ready, 0, ready.length)
      else nameTarget(lines, added, target)
      if (back !== undefined) writeBack(back, parser, buffer, start)
      added = lines
    }
    options.added = added.bytes
    options.addedLength = added.length
  }
}

/**
 * Puts the fields that say where the client is to go, or to send cookies, as it knows itself, in place of the target's. What
 * would be too much stays as the target wrote it: each of its bytes may become thirty.
 */
function writeBack(back: Rewritten, parser: ResponseParser, buffer: Uint8Array, start: number): void {
  const { headers } = parser
  const most = lines.length + MAX_BACK_BYTES
  for (let entry = 0, last = parser.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const id = headers[entry + HEADER_ID]!
    if (id !== LOCATION_ID && id !== HEADER_SET_COOKIE) continue
    const value = parser.text(buffer, start, headers[entry + VALUE_START]!, headers[entry + VALUE_END]!)
    const changed = id === LOCATION_ID ? locationBack(value, back) : cookieBack(value, back)
    if (changed === value || lines.length + changed.length > most) continue
    headers[entry + HEADER_ID] = HEADER_DROPPED
    lines.putText(id === LOCATION_ID ? 'location: ' : 'set-cookie: ')
    lines.putText(changed)
    lines.putText('\r\n')
  }
}
