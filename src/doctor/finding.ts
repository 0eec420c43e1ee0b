/** How a thing was found: as it should be, less than that, unable to do its work, or not to be told here. */
export type Grade = 'ok' | 'warn' | 'fail' | 'unknown'

/** What was looked at on the host, and what to do about it. */
export interface Finding {
  /** A few words, the same on every host. */
  readonly what: string
  readonly grade: Grade
  /** What was found. */
  readonly found: string
  /** What it should be and why; missing where all is well. */
  readonly advice?: string
  /** Commands that set it right. */
  readonly commands?: readonly string[]
}

/** The host, as the checks see it; tests have one of their own. */
export interface Host {
  /** A file's text without the white space around it; undefined where there is none to read. */
  read(path: string): string | undefined
  /** What a program prints, undefined where it is not installed or fails. */
  run(program: string, args: readonly string[]): string | undefined
  /** Throws where the directory cannot be written to. */
  tryToWrite(directory: string): void
  readonly nodeVersion: string
  readonly isRoot: boolean
  readonly nowMs: number
}
