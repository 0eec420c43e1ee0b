import { formatProblem } from '../config/problems.js'

/** What is said of a line of the file that is imported. */
export interface Finding {
  /** From 1. */
  readonly line: number
  /** `untranslated`: the result does not do what the line says. `note`: nothing is lost, and something is to be known. */
  readonly kind: 'untranslated' | 'note'
  /** The line, or the part of it, that this is about. */
  readonly what: string
  readonly why: string
}

/** The text is not what its format allows, so that nothing can be made of it. */
export class ImportError extends Error {
  readonly line: number

  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

/** What a part of a file asks for has no equal: it is reported, and what depends on it is left out. */
export class Untranslatable extends Error {}

/** Collects what is said, each thing once. */
export class Findings {
  readonly #found: Finding[] = []
  readonly #told = new Set<string>()

  untranslated(line: number, what: string, why: string): void {
    this.#add({ line, kind: 'untranslated', what, why })
  }

  note(line: number, what: string, why: string): void {
    this.#add({ line, kind: 'note', what, why })
  }

  /** Runs `translate`; where that finds no equal says so, and gives undefined. */
  attempt<T>(line: number, what: string, translate: () => T): T | undefined {
    try {
      return translate()
    } catch (fault) {
      if (!(fault instanceof Untranslatable)) throw fault
      this.untranslated(line, what, fault.message)
      return undefined
    }
  }

  /** By line. */
  get all(): readonly Finding[] {
    return [...this.#found].sort((a, b) => a.line - b.line)
  }

  #add(finding: Finding): void {
    const key = `${finding.line} ${finding.what} ${finding.why}`
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#found.push(finding)
  }
}

/** `file:line: not translated: what: why`. */
export function formatFinding(file: string, { line, kind, what, why }: Finding): string {
  const said = `${kind === 'note' ? 'note' : 'not translated'}: ${what}: ${why}`
  return formatProblem({ source: `${file}:${line}`, line: 0, column: 0, path: '', message: said })
}
