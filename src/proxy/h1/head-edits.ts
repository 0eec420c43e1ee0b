// Hot path of rules with edits: once per request of such a rule, and nothing for others.
import type { RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import type { ResponseParser } from '../../http/response-parser.js'
import type { ResponseHeadOptions } from '../../http/response-writer.js'
import { nameTarget, TARGET_LATER } from '../../route/header-edits.js'
import { ByteText } from '../../route/template.js'
import type { RequestInfo } from '../request-info.js'
import type { RuleEdits } from '../rule-edits.js'
import type { Requester } from './requester.js'
import { factsOf } from './template-facts.js'

// Read before the next head is written.
const lines = new ByteText()

/** What the rule of one request changes of its head and of its answer's, which is written when the request is gone. */
export class HeadEdits {
  readonly #answer = new ByteText()

  /**
   * Edits the request whose head begins at `start`: what is added goes into `options`. False where it is more than a head
   * may grow by.
   */
  begin(
    edits: RuleEdits,
    session: Requester,
    info: RequestInfo,
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
    options: RequestHeadOptions,
  ): boolean {
    const facts = factsOf(session, info, parser, buffer, start, TARGET_LATER)
    this.#answer.clear()
    lines.clear()
    if (edits.response !== undefined && !edits.response.write(this.#answer, facts)) return false
    if (edits.request === undefined) return true
    if (!edits.request.write(lines, facts)) return false
    options.added = lines.bytes
    options.addedLength = lines.length
    // Last: variables are of what came.
    edits.request.drop(parser, buffer, start)
    return true
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
    if (edits.response === undefined) return
    edits.response.drop(parser, buffer, start)
    let added = this.#answer
    if (edits.response.namesTarget) {
      lines.clear()
      nameTarget(lines, added, target)
      added = lines
    }
    options.added = added.bytes
    options.addedLength = added.length
  }
}
