import { CastorError, type ErrorCode } from '../core/errors.js'

/** What a command's exit code says; the same in all of them. */
export const EXIT = {
  ok: 0,
  /** The command could not do its work; for `status`: the process answers and is degraded. */
  failed: 1,
  /** Wrong configuration or wrong usage: nothing was begun. */
  invalid: 2,
  /** `status` only: the process does not answer. */
  unreachable: 3,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const INVALID: readonly ErrorCode[] = ['CONFIG_INVALID', 'CONFIG_UNREADABLE', 'USAGE']

/** Of a command that an error ended. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof CastorError && INVALID.includes(error.code) ? EXIT.invalid : EXIT.failed
}
