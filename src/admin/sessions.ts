import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { wallTime } from '../core/clock.js'
import type { SessionRow } from '../core/session-store.js'
import { sendError, sendJson } from './answer.js'
import type { AdminFacts } from './facts.js'
import { wholeNumber } from './parameters.js'
import { route } from './route.js'
import { count, time } from './status-schema.js'
import { sendUnknownGroup } from './unknown-target.js'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000
const NO_CURSOR = 'must be what next said on the page before'
/** Parts of the table that one request looks through, a turn of the loop each: about a million places. */
const MAX_PARTS = 64

const KINDS = ['source-ip', 'app-cookie', 'cookie', 'off'] as const
type Kind = (typeof KINDS)[number]

const STATELESS: Readonly<Partial<Record<Kind, string>>> = {
  cookie: 'the cookie itself names the target: nothing is remembered that could be listed',
  off: 'stickiness is off in this group',
}

/** A session as the API shows it. */
interface ShownSession {
  readonly group: string
  /** Null where the target is gone: the client gets another one when it comes again. */
  readonly target: string | null
  readonly kind: Kind
  readonly expires: string
  readonly lastUsed: string
  /** Keyed hash of what the client is known by, in hexadecimal. */
  readonly key: string
}

const question = z.strictObject({
  group: z.string().optional().describe('Only of this target group.'),
  limit: wholeNumber(1, MAX_LIMIT, `must be a whole number from 1 to ${MAX_LIMIT}`).prefault(String(DEFAULT_LIMIT)),
  cursor: wholeNumber(0, 999_999_999, NO_CURSOR).prefault('0').describe('What `next` said on the page before.'),
})

const page = z.strictObject({
  group: z.string().nullable(),
  kind: z.enum(KINDS).optional(),
  stateless: z.boolean().optional(),
  note: z.string().optional(),
  sessions: z.array(
    z.strictObject({
      group: z.string(),
      target: z.string().nullable(),
      kind: z.enum(KINDS),
      expires: time(),
      lastUsed: time(),
      key: z.string(),
    }),
  ),
  next: z.string().nullable().describe('Cursor of the next page; null after the last.'),
  totals: z.strictObject({
    asOf: time().nullable(),
    groups: z.record(z.string(), z.strictObject({ sessions: count(), targets: z.record(z.string(), count()) })),
  }),
})

type Question = z.output<typeof question>

/**
 * Learned sessions, of one group or of all, a page at a time. A page may hold fewer than `limit`, even none, and `next`
 * still lead on; the primary is held up for about a millisecond at a time.
 */
export const listSessions = route({
  method: 'GET',
  path: '/api/v1/sessions',
  id: 'listSessions',
  summary: 'Learned sessions, a page at a time',
  query: question,
  answers: { 200: { says: 'A page of them, and the totals as last counted.', schema: page } },
  errors: ['UNKNOWN_TARGET_GROUP'],
  async handle({ facts, request, response, query: asked }) {
    if (asked.cursor >= facts.sessions.capacity) {
      sendError(request, response, 'BAD_PARAMETER', `cursor: ${NO_CURSOR}`, [
        { where: 'query.cursor', message: NO_CURSOR },
      ])
      return
    }
    const { directory, sessionTotals } = facts
    const group = asked.group === undefined ? -1 : directory.groups.indexOf(asked.group)
    if (asked.group !== undefined && group < 0) {
      sendUnknownGroup(facts, request, response, asked.group)
      return
    }
    const kind = group < 0 ? undefined : kindOf(facts, group)
    const note = kind === undefined ? undefined : STATELESS[kind]
    const read = note === undefined ? await readPage(facts, group, asked) : { rows: [], next: null }
    sendJson(request, response, 200, {
      group: asked.group ?? null,
      ...(kind === undefined ? {} : { kind, stateless: note !== undefined }),
      ...(note === undefined ? {} : { note }),
      sessions: read.rows.map((row) => shown(facts, row)),
      next: read.next,
      totals: {
        asOf: sessionTotals.asOfMs === 0 ? null : new Date(wallTime(sessionTotals.asOfMs, facts.clock)).toISOString(),
        groups: totalsOf(facts, group),
      },
    })
  },
})

async function readPage(
  facts: AdminFacts,
  group: number,
  { limit, cursor }: Question,
): Promise<{ rows: SessionRow[]; next: string | null }> {
  const rows: SessionRow[] = []
  let at = cursor
  for (let part = 0; part < MAX_PARTS && at >= 0 && rows.length < limit; part++) {
    if (part > 0) await nextTurn()
    const page = facts.sessions.scan(at, limit - rows.length, group)
    // One without a target was forgotten, and is kept so that other hosts do not bring it back.
    rows.push(...page.sessions.filter(({ targetSlot }) => targetSlot >= 0))
    at = page.next
  }
  return { rows, next: at < 0 ? null : String(at) }
}

function shown(facts: AdminFacts, row: SessionRow): ShownSession {
  const target = facts.targets.find(({ slot, generation }) => slot === row.targetSlot && generation === row.generation)
  return {
    group: facts.directory.groups[row.group] ?? String(row.group),
    target: target?.id ?? null,
    kind: kindOf(facts, row.group),
    expires: new Date(wallTime(row.expiresMs, facts.clock)).toISOString(),
    lastUsed: new Date(wallTime(row.touchedMs, facts.clock)).toISOString(),
    key: row.key,
  }
}

/** Sessions by group and target as last counted, of the groups that have any to count. */
function totalsOf(facts: AdminFacts, only: number): Record<string, object> {
  const { directory, sessionTotals, targets } = facts
  const totals: Record<string, object> = {}
  directory.groups.forEach((name, group) => {
    if (name === undefined) return
    if ((only >= 0 && group !== only) || STATELESS[kindOf(facts, group)] !== undefined) return
    const own = targets.filter((target) => target.group === group)
    totals[name] = {
      sessions: sessionTotals.ofGroup(group),
      targets: Object.fromEntries(own.map(({ id, slot }) => [id, sessionTotals.ofTarget(slot)])),
    }
  })
  return totals
}

function kindOf({ config, directory }: AdminFacts, group: number): Kind {
  const name = directory.groups[group]
  return config.targetGroups.find((candidate) => candidate.name === name)?.stickiness.type ?? 'off'
}
