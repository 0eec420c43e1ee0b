import { latin1 } from './bytes.js'
import { LOWER } from './characters.js'

/** Beginnings of media types whose messages follow each other whenever there is one: calls and events. */
const BEGINNINGS = [
  'application/grpc',
  'application/connect+',
  'text/event-stream',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'application/json-seq',
  'application/stream+json',
  'multipart/x-mixed-replace',
].map(latin1)

/** Whether a body of the media type in [from, to) may pause between two messages as long as it likes. */
export function isDialogueType(buffer: Uint8Array, from: number, to: number): boolean {
  for (const beginning of BEGINNINGS) {
    let i = 0
    while (i < beginning.length && from + i < to && LOWER[buffer[from + i]!] === beginning[i]) i++
    if (i === beginning.length) return true
  }
  return false
}
