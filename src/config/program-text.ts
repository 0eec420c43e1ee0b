import { resolve } from 'node:path'
import { askModuleThread } from './ask-module-thread.js'
import { UnreadableError } from './read-file.js'

/** What a configuration that is a program says, as text. Throws `UnreadableError`. */
export function programText(file: string): string {
  const answer = askModuleThread({ type: 'program', file: resolve(file) })
  if (answer.type === 'program') return answer.text
  throw new UnreadableError(answer.type === 'failed' ? answer.message : 'it said something else')
}
