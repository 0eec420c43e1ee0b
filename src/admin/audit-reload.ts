import type { ConfigDiff, NamedChanges, ValueChange } from '../config/diff.js'
import type { Audited } from './audit.js'
import type { ReloadOutcome, ReloadTrigger } from './reload-control.js'

/** Values of one reload that are told one by one. */
const MAX_VALUES = 50

type Values = Pick<Audited, 'before' | 'after' | 'result' | 'reason'>

/** What a reload changed, by the path of each value, as the audit log tells it. */
export function auditReload(outcome: ReloadOutcome): Values {
  switch (outcome.result) {
    case 'applied':
    case 'changed':
      return { ...valuesOf(outcome.changes), result: 'done', reason: null }
    case 'unchanged':
      return { before: null, after: null, result: 'done', reason: 'the file says what is in force' }
    case 'invalid':
      return refused('refused', `CONFIG_INVALID: the file has ${outcome.problems.length} problems`)
    case 'restart-required': {
      const paths = outcome.changes.restart.map(({ path }) => path).join(', ')
      return refused('refused', `RESTART_REQUIRED: ${paths}`)
    }
    case 'failed':
      return refused('failed', `RELOAD_FAILED: ${outcome.message}`)
  }
}

/** One that no request asked for; undefined for a file that was only touched. */
export function auditOwnReload(by: ReloadTrigger, outcome: ReloadOutcome): Audited | undefined {
  if (by === 'api' || (by === 'watch' && outcome.result === 'unchanged')) return undefined
  const actor =
    by === 'signal' ? ({ kind: 'signal', name: 'SIGHUP' } as const) : ({ kind: 'file', name: null } as const)
  return { by: actor, from: null, action: 'reload', request: null, status: null, ...auditReload(outcome) }
}

const refused = (result: 'refused' | 'failed', reason: string): Values => ({
  before: null,
  after: null,
  result,
  reason,
})

function valuesOf({ settings, listeners, targetGroups, targets }: ConfigDiff): Pick<Values, 'before' | 'after'> {
  const before: Record<string, unknown> = {}
  const after: Record<string, unknown> = {}
  let more = 0
  const put = (path: string, from: unknown, to: unknown): void => {
    if (Object.keys(after).length >= MAX_VALUES) more++
    else {
      before[path] = from
      after[path] = to
    }
  }
  const putAll = (at: string, values: readonly ValueChange[]): void => {
    for (const { path, from, to } of values) put(`${at}${path}`, from, to)
  }
  putAll('', settings)
  for (const [list, { added, removed, changed }] of Object.entries({ listeners, targetGroups })) {
    for (const name of added) put(`${list}.${name}`, null, 'added')
    for (const name of removed) put(`${list}.${name}`, 'there', null)
    for (const { name, values } of changed as readonly NamedChanges[]) putAll(`${list}.${name}.`, values)
  }
  const at = (group: string, id: string): string => `targetGroups.${group}.targets.${id}`
  for (const { targetGroup, id, address, weight } of targets.added) put(at(targetGroup, id), null, { address, weight })
  for (const { targetGroup, id, address, weight } of targets.removed)
    put(at(targetGroup, id), { address, weight }, null)
  for (const { targetGroup, id, values } of targets.changed) putAll(`${at(targetGroup, id)}.`, values)
  return { before, after: more === 0 ? after : { ...after, more } }
}
