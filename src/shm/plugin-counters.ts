import { PLUGIN_FAILURES, PLUGIN_PHASES, type PluginFailure, type PluginPhase } from '../core/plugin.js'

/** Names of plug-ins that a process can tell apart, over all its configurations. */
export const PLUGIN_SLOTS = 128
/** Of each phase: calls, then a word a kind of failure. */
const PHASE_WORDS = 1 + PLUGIN_FAILURES.length
/** Padded as all of shared memory is. */
const SLOT_WORDS = 32
if (PLUGIN_PHASES.length * PHASE_WORDS > SLOT_WORDS) throw new RangeError('SLOT_WORDS is too small for the phases')
const COLUMN_WORDS = PLUGIN_SLOTS * SLOT_WORDS

/** Bytes for a column of each worker. Columns are counted from 1, as workers are; the one that a dead worker leaves goes on. */
export function pluginBytes(workers: number): number {
  return workers * COLUMN_WORDS * Float64Array.BYTES_PER_ELEMENT
}

const at = (slot: number, phase: PluginPhase): number => slot * SLOT_WORDS + PLUGIN_PHASES.indexOf(phase) * PHASE_WORDS

/** Where one plug-in counts in one thread. */
export class PluginCounters {
  readonly #words: Float64Array

  constructor(shared: SharedArrayBuffer, column: number, slot: number) {
    const first = (column - 1) * COLUMN_WORDS + slot * SLOT_WORDS
    this.#words = new Float64Array(shared, first * Float64Array.BYTES_PER_ELEMENT, SLOT_WORDS)
  }

  countCall(phase: PluginPhase): void {
    this.#words[at(0, phase)]!++
  }

  countFailure(phase: PluginPhase, kind: PluginFailure): void {
    this.#words[at(0, phase) + 1 + PLUGIN_FAILURES.indexOf(kind)]!++
  }
}

/** Calls of a plug-in in a phase, over all threads. */
export function pluginCalls(shared: SharedArrayBuffer, slot: number, phase: PluginPhase): number {
  return sum(shared, at(slot, phase))
}

export function pluginFailures(
  shared: SharedArrayBuffer,
  slot: number,
  phase: PluginPhase,
  kind: PluginFailure,
): number {
  return sum(shared, at(slot, phase) + 1 + PLUGIN_FAILURES.indexOf(kind))
}

function sum(shared: SharedArrayBuffer, word: number): number {
  const words = new Float64Array(shared)
  let total = 0
  for (let each = word; each < words.length; each += COLUMN_WORDS) total += words[each]!
  return total
}
