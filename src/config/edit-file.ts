import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../core/config.js'
import { diffConfigs, isSame } from './diff.js'
import { formatDiff } from './format-diff.js'
import { type LoadOptions, parseConfig } from './load.js'
import { ConfigError, formatProblem } from './problems.js'
import { type Edited, editConfig, editText, type TargetEdit } from './write-back.js'

export type EditedFile = { readonly text: string; readonly config: Config } | { readonly refused: string }

/**
 * The file's text with an operator's change in it, and what it says then. Refused, with the reason for people, where the
 * text does not say what is in force, and where the change cannot be written without touching anything else.
 */
export function editFile(
  text: string,
  path: string,
  options: LoadOptions,
  inForce: Config,
  edit: TargetEdit,
): EditedFile {
  const now = read(text, path, options)
  if ('refused' in now) return { refused: `the file has errors: ${now.refused}` }
  const diff = diffConfigs(inForce, now.config)
  if (!isSame(diff)) {
    const first = formatDiff(diff)[0]
    return {
      refused: `the file has changes that are not in force (${first}); reload first, castor diff shows them all`,
    }
  }
  const expected = editConfig(now.config, edit)
  if (expected === undefined) return { refused: whyNot(edit) }
  const edited = tryEdit(text, now.config, edit)
  if ('refused' in edited) return edited
  const after = read(edited.text, path, options)
  // Nothing is trusted that does not read as what was wanted: --set, anchors and odd forms of YAML end here.
  if ('refused' in after || !isDeepStrictEqual(after.config, expected)) {
    return { refused: 'it cannot be written into this file without changing more than it; change the file by hand' }
  }
  return { text: edited.text, config: after.config }
}

function tryEdit(text: string, config: Config, edit: TargetEdit): Edited {
  try {
    return editText(text, config, edit)
  } catch {
    return { refused: 'the form of the file does not allow it; change the file by hand' }
  }
}

function read(text: string, path: string, options: LoadOptions): { config: Config } | { refused: string } {
  try {
    return { config: parseConfig(text, path, { ...options, onWarning: () => {} }) }
  } catch (error) {
    if (error instanceof ConfigError) {
      const [first, ...more] = error.problems.map(formatProblem)
      return { refused: `${first}${more.length > 0 ? ` (and ${more.length} more; castor check shows them all)` : ''}` }
    }
    throw error
  }
}

function whyNot(edit: TargetEdit): string {
  if (edit.type === 'add') return `the file has a target ${JSON.stringify(edit.target.id)} in ${edit.group} already`
  return `the file has no target ${JSON.stringify(edit.id)} in ${edit.group}: it was added while the process runs`
}
