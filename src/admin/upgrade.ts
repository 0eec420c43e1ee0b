import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { sendError } from './answer.js'
import type { UpgradeStep } from './facts.js'
import { type ChangeNote, route } from './route.js'

const asked = z.strictObject({
  program: z.string().max(4_096).refine(isAbsolute, { error: 'must be an absolute path' }).optional(),
})

const LINES = 'application/x-ndjson; charset=utf-8'
/** While nothing happens a line goes out so often: readers know that somebody is there. */
const SIGN_OF_LIFE_MS = 5_000

/** Answers with a JSON object a line, as things go on; the last one's `step` is `done` or `failed`. */
export const upgrade = route({
  method: 'POST',
  path: '/api/v1/upgrade',
  id: 'upgrade',
  summary: 'Replace the running process',
  body: { schema: asked, code: 'BAD_UPGRADE' },
  answers: {
    200: { says: 'A JSON object a line as things go on; `step` of the last is done or failed.', type: LINES },
  },
  errors: [
    'PROGRAM_NOT_ALLOWED',
    'UPGRADE_UNDER_WAY',
    'NOT_RUNNING',
    'NATIVE_UNAVAILABLE',
    'NOT_A_PROCESS',
    'FIRST_PROCESS',
  ],
  async handle({ context, facts, request, response, body: { program }, note }) {
    // Whoever may open the Unix socket may run programs as this user anyway; whoever reaches a TCP port may not.
    if (program !== undefined && !('path' in context.listen)) {
      const message =
        'a program can be named over a Unix socket in admin.listen only; without one the same path runs again'
      sendError(request, response, 'PROGRAM_NOT_ALLOWED', message)
      return
    }
    const { upgrades, log } = facts
    const { hindrance } = upgrades
    if (hindrance !== undefined) {
      sendError(request, response, hindrance.code, hindrance.message)
      return
    }
    log.info({ program: program ?? null }, 'the operator upgrades this process')
    response.setHeader('Content-Type', LINES)
    const life = setInterval(() => response.write('{"step":"waiting"}\n'), SIGN_OF_LIFE_MS)
    try {
      note.before = { pid: process.pid, version: facts.version }
      await upgrades.run(program, (step: UpgradeStep) => {
        response.write(`${JSON.stringify(step)}\n`)
        noteStep(note, step, program)
      })
    } finally {
      clearInterval(life)
      response.end()
    }
  },
})

/** The last step is what came of it; the new process's version comes before. */
function noteStep(note: ChangeNote, step: UpgradeStep, program: string | undefined): void {
  switch (step.step) {
    case 'started':
      note.after = { version: step.version, ...(program === undefined ? {} : { program }) }
      return
    case 'done':
      note.after = { ...note.after, pid: step.pid }
      return
    case 'failed':
      Object.assign(note, { after: null, result: 'failed', reason: `${step.code}: ${step.message}` })
      return
    case 'starting':
    case 'prepared':
      return
  }
}
