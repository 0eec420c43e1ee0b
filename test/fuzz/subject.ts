/** Something that should not have come of an input. */
export interface Finding {
  /** What sort of input it was, within its subject. */
  readonly kind: string
  readonly input: Buffer
  /** What else is needed to see it again; may be empty. */
  readonly detail: string
  readonly faults: readonly string[]
}

/** A part of Castor that is shown inputs which nobody should send. */
export interface FuzzSubject {
  readonly name: string
  /**
   * Makes a handful of inputs, shows them, and reports what should not have come of them. Resolves, within a second or
   * so, to the number of inputs. Does not reject for what Castor does: that is a finding.
   */
  round(report: (finding: Finding) => void): Promise<number>
  /** What it says of itself beside the number of inputs; empty where there is nothing. */
  remarks?(): string
  /** Closes all that it has opened. */
  stop(): Promise<void>
}

/** `random` gives numbers in [0, 1), the same ones for the same seed. */
export type StartSubject = (random: () => number) => Promise<FuzzSubject>
