import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { formatAddress } from '../config/addresses.js'
import { toDocument } from '../config/document.js'
import { formatDiff } from '../config/format-diff.js'
import { maskSecrets } from '../config/mask-secrets.js'
import { formatProblem, type Problem } from '../config/problems.js'
import { ADMIN_STATES } from '../core/target-state.js'
import { ADMIN_ERRORS, type AdminErrorCode } from './admin-errors.js'
import { sendJson, sendJsonInTurns } from './answer.js'
import { auditReload } from './audit-reload.js'
import { inForce, outcome, refusal } from './configuration-schema.js'
import type { AdminFacts } from './facts.js'
import type { ReloadOutcome } from './reload-control.js'
import { route } from './route.js'

/** What an operator has changed of a target since the configuration in force was read. */
interface OperatorChange {
  readonly targetGroup: string
  readonly id: string
  readonly change: 'added' | 'removed' | 'changed'
  readonly address?: string
  readonly weight?: number
  readonly state?: string
}

/** The configuration in force as a file would say it, and what operators have changed since. */
export const showConfig = route({
  method: 'GET',
  path: '/api/v1/config',
  id: 'showConfig',
  summary: 'The configuration in force, secrets masked',
  answers: { 200: { says: 'As a file would say it, and what operators have changed since.', schema: inForce } },
  handle({ facts, request, response }) {
    const { state, inForce: config } = facts.reloading
    sendJson(request, response, 200, {
      version: state.version,
      loadedAt: new Date(state.loadedAtMs).toISOString(),
      file: state.file ?? null,
      config: maskSecrets(toDocument(config)),
      operatorChanges: operatorChanges(facts),
    })
  },
})

export const showDiff = route({
  method: 'GET',
  path: '/api/v1/config/diff',
  id: 'diffConfig',
  summary: 'What a reload would do now',
  query: z.strictObject({}),
  answers: { 200: { says: 'What would change.', schema: outcome } },
  refusal,
  errors: ['CONFIG_INVALID', 'RESTART_REQUIRED', 'RELOAD_FAILED'],
  async handle({ facts, request, response }) {
    await sendOutcome(facts, request, response, await facts.reloading.preview(), true)
  },
})

const options = z.strictObject({
  dryRun: z.boolean().optional().describe('Be told what would change, and change nothing.'),
})

/** Answers when every thread has it. */
export const reload = route({
  method: 'POST',
  path: '/api/v1/reload',
  id: 'reload',
  summary: 'Read the configuration file anew and apply what changed',
  query: z.strictObject({}),
  body: { schema: options, code: 'BAD_RELOAD', optional: true },
  answers: { 200: { says: 'The file holds on every thread.', schema: outcome } },
  refusal,
  errors: ['CONFIG_INVALID', 'RESTART_REQUIRED', 'RELOAD_FAILED'],
  async handle({ facts, request, response, body: { dryRun = false }, note }) {
    const came = dryRun ? await facts.reloading.preview() : await facts.reloading.reload('api')
    if (dryRun) note.isQuestion = true
    else Object.assign(note, auditReload(came))
    await sendOutcome(facts, request, response, came, dryRun)
  },
})

async function sendOutcome(
  { reloading }: AdminFacts,
  request: IncomingMessage,
  response: ServerResponse,
  outcome: ReloadOutcome,
  dryRun: boolean,
): Promise<void> {
  const file = reloading.state.file ?? null
  const refuse = (code: AdminErrorCode, message: string, more: object): void =>
    sendJson(request, response, ADMIN_ERRORS[code][0], { error: { code, message, ...more }, file })
  switch (outcome.result) {
    case 'applied':
    case 'changed':
    case 'unchanged': {
      const { result, version } = outcome
      // It was read, applied and logged in this turn; thousands of changes are shown in others.
      await setImmediate()
      const changes = 'changes' in outcome ? { changes: outcome.changes, lines: formatDiff(outcome.changes) } : {}
      const warnings = outcome.warnings.map(formatProblem)
      await sendJsonInTurns(request, response, 200, { result, version, file, warnings, ...changes })
      return
    }
    case 'invalid': {
      const count = outcome.problems.length
      const message = `the file has ${count === 1 ? 'a problem' : `${count} problems`}; nothing was changed`
      refuse('CONFIG_INVALID', message, { problems: outcome.problems.map(shownProblem) })
      return
    }
    case 'restart-required': {
      const { changes } = outcome
      const names = changes.restart.map(({ path }) => path).join(', ')
      const message = `${names} can only change with a restart; ${dryRun ? 'a reload would change nothing' : 'nothing was changed'}`
      refuse('RESTART_REQUIRED', message, { changes, lines: formatDiff(changes) })
      return
    }
    case 'failed':
      refuse('RELOAD_FAILED', outcome.message, {})
  }
}

function shownProblem(problem: Problem): object {
  const { source, line, column, path, message } = problem
  return { file: source, line, column, path, message, text: formatProblem(problem) }
}

function operatorChanges(facts: AdminFacts): OperatorChange[] {
  const { table, targets: all, directory, reloading } = facts
  return reloading.inForce.targetGroups.flatMap(({ name: targetGroup, targets: ofFile }) => {
    const index = directory.groups.indexOf(targetGroup)
    const running = all.filter(({ group }) => group === index)
    const changes: OperatorChange[] = []
    for (const { id, slot, host, port, leavesMs } of running) {
      const before = ofFile.find((target) => target.id === id)
      const weight = table.weight(slot)
      const state = ADMIN_STATES[table.admin(slot)] ?? 'active'
      if (leavesMs !== undefined) {
        // The file may have given its id to another server.
        const isMoved = running.some((other) => other.id === id && other.leavesMs === undefined)
        if (before !== undefined && !isMoved) changes.push({ targetGroup, id, change: 'removed' })
      } else if (before === undefined) {
        changes.push({ targetGroup, id, change: 'added', address: formatAddress(host, port), weight, state })
      } else if (before.weight !== weight || state !== 'active') {
        changes.push({ targetGroup, id, change: 'changed', weight, state })
      }
    }
    for (const { id } of ofFile) {
      if (!running.some((target) => target.id === id)) changes.push({ targetGroup, id, change: 'removed' })
    }
    return changes
  })
}
