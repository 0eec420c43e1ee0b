import type { IncomingMessage, ServerResponse } from 'node:http'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { describe } from '../config/validate.js'
import type { AdminListen } from '../core/config.js'
import { sendError } from './answer.js'
import type { AdminFacts, UpgradeStep } from './facts.js'
import { readJson } from './read-json.js'

const asked = z.strictObject({
  program: z.string().max(4_096).refine(isAbsolute, { error: 'must be an absolute path' }).optional(),
})

/** While nothing happens a line goes out so often: readers know that somebody is there. */
const SIGN_OF_LIFE_MS = 5_000

/**
 * `POST /api/v1/upgrade`, with `program` where it is another installation's. Answers with a JSON object a line, as things
 * go on; the last one's `step` is `done` or `failed`.
 */
export async function upgrade(
  facts: AdminFacts,
  listen: AdminListen,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const given = asked.safeParse(await readJson(request), { error: (issue) => describe(issue) })
  if (!given.success) {
    const problems = given.error.issues.map(({ path, message }) => [...path, message].join(': '))
    sendError(request, response, 400, 'BAD_UPGRADE', problems.join('; '))
    return
  }
  const { program } = given.data
  // Whoever may open the Unix socket may run programs as this user anyway; whoever reaches a TCP port may not.
  if (program !== undefined && !('path' in listen)) {
    const message =
      'a program can be named over a Unix socket in admin.listen only; without one the same path runs again'
    sendError(request, response, 403, 'PROGRAM_NOT_ALLOWED', message)
    return
  }
  const { upgrades, log } = facts
  const { hindrance } = upgrades
  if (hindrance !== undefined) {
    sendError(request, response, hindrance.status, hindrance.code, hindrance.message)
    return
  }
  log.info({ program: program ?? null }, 'the operator upgrades this process')
  response.setHeader('Content-Type', 'application/x-ndjson; charset=utf-8')
  const life = setInterval(() => response.write('{"step":"waiting"}\n'), SIGN_OF_LIFE_MS)
  try {
    await upgrades.run(program, (step: UpgradeStep) => response.write(`${JSON.stringify(step)}\n`))
  } finally {
    clearInterval(life)
    response.end()
  }
}
