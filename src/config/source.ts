import { resolve } from 'node:path'
import type { Config } from '../core/config.js'
import { type ConfigDiff, diffConfigs } from './diff.js'
import { editFile } from './edit-file.js'
import type { Environment } from './interpolate.js'
import { type LoadOptions, parseConfig } from './load.js'
import { isModuleFile } from './plugin-module.js'
import { ConfigError, type Problem } from './problems.js'
import { programText } from './program-text.js'
import { exposure, readRegularFile } from './read-file.js'
import type { TargetEdit } from './write-back.js'

/** Where the configuration of a process came from, to be read again. */
export interface ConfigSource {
  /** Absolute. */
  readonly file: string
  /** `path=value` each, put over what the file says. */
  readonly set: readonly string[]
  readonly env: Environment
  /** Whether operators' changes may be written to it. */
  readonly isWritable: boolean
}

export function fileSource(file: string, more: Partial<Omit<ConfigSource, 'file'>> = {}): ConfigSource {
  return { file: resolve(file), set: [], env: process.env, isWritable: true, ...more }
}

/** To read the file once, or to write a change into its text; the text is written nowhere yet. */
export interface ReadTask {
  readonly source: Omit<ConfigSource, 'isWritable'>
  readonly inForce: Config
  readonly edit?: TargetEdit
}

export type ReadResult =
  | {
      readonly type: 'read'
      readonly config: Config
      readonly diff: ConfigDiff
      readonly warnings: readonly Problem[]
    }
  | { readonly type: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly type: 'unreadable'; readonly message: string }
  /** `before` is the text that is there. */
  | { readonly type: 'edited'; readonly before: string; readonly text: string; readonly config: Config }
  | { readonly type: 'refused'; readonly message: string }

/** `inForce` is left out where it is what the thread read last. */
export type ReadOrder = Omit<ReadTask, 'inForce'> & { readonly inForce?: Config }

/** What was read comes packed, to be unpacked in turns of its own: with thousands of targets each takes milliseconds. */
export type ReadMessage =
  | Exclude<ReadResult, { readonly type: 'read' }>
  | {
      readonly type: 'read'
      readonly config: Uint8Array
      readonly diff: Uint8Array
      readonly warnings: readonly Problem[]
    }

/** Reads, checks and compares. Nothing that may be wrong with a file makes it throw. */
export function runReadTask({ source, inForce, edit }: ReadTask): ReadResult {
  const { file, set, env } = source
  let text: string
  try {
    text = isModuleFile(file) ? programText(file) : readRegularFile(file).toString('utf8')
  } catch (cause) {
    const message = `${file}: the configuration file cannot be read: ${(cause as Error).message}`
    return { type: 'unreadable', message }
  }
  const warnings: Problem[] = []
  const options: LoadOptions = { set, env, exposed: exposure(file), onWarning: (warning) => warnings.push(warning) }
  if (edit !== undefined && isModuleFile(file)) {
    return { type: 'refused', message: 'it is a program, which Castor does not write; make the change there yourself' }
  }
  if (edit !== undefined) {
    const edited = editFile(text, file, options, inForce, edit)
    if ('refused' in edited) return { type: 'refused', message: edited.refused }
    return { type: 'edited', before: text, ...edited }
  }
  try {
    const config = parseConfig(text, file, options)
    return { type: 'read', config, diff: diffConfigs(inForce, config), warnings }
  } catch (error) {
    if (error instanceof ConfigError) return { type: 'invalid', problems: error.problems }
    throw error
  }
}
