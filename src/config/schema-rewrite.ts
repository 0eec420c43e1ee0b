import { z } from 'zod'
import { normalizePath } from '../core/normal-path.js'
import { parseTemplate, variablesOf } from '../core/template.js'
import { flag, show } from './fields.js'

/** What rules make of a request's target. */

const MAX_TEXT = 4096

/** A template that is none of what `problem` complains about; it is given the text with "x" for each variable. */
function template(problem: (text: string, written: string) => string | undefined) {
  return z
    .string()
    .max(MAX_TEXT)
    .superRefine((written, context) => {
      const message = templateProblem(written) ?? problem(written.replace(/\$\{[^}]*\}/g, 'x'), written)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    })
}

function templateProblem(written: string): string | undefined {
  try {
    const isUnknown = variablesOf(parseTemplate(written)).some(({ of }) => of === 'target')
    return isUnknown ? '${target} is not known before the request is sent; write ${target_group}' : undefined
  } catch (fault) {
    return (fault as Error).message
  }
}

function pathProblem(text: string, written: string): string | undefined {
  if (!written.startsWith('/') && !written.startsWith('${path}')) return 'must begin with "/" or ${path}'
  const plain = text.endsWith('/*') ? text.slice(0, -1) : text
  if (plain.includes('*')) return `${show(written)}: "*" stands at the end only, behind a "/", like /app/*`
  if (/[?#]/.test(plain)) return `${show(written)}: a path has no query; use rewrite.query for that`
  const rooted = plain.startsWith('/') ? plain : `/${plain}`
  if (!/^([!$&-;=@-Z_a-z~[\]^|]|%[0-9A-Fa-f]{2})*$/.test(plain) || /%(0|1|7f)/i.test(plain))
    return `${show(written)} holds characters that no path can have; write them escaped, like %C3%A9`
  return normalizePath(rooted) === rooted
    ? undefined
    : `${show(written)} is not in normal form; write ${show(normalizePath(rooted))}`
}

export const rewrite = z
  .strictObject({
    path: template(pathProblem)
      .optional()
      .describe(
        'Path that the target gets: a path with variables, or a prefix such as /app/*, behind which comes what follows the prefix that the rule matches (all of the path where it names none). In normal form; what variables bring is escaped. Default: as the client wrote it.',
      ),
    host: template((text, written) =>
      /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.test(text) ? undefined : `${show(written)} is no host`,
    )
      .optional()
      .describe('Host that the target gets, with variables, perhaps with a port. Default: the client’s.'),
    query: template((text, written) =>
      /^[!$&-;=?@-Z_a-z~%[\]^|]*$/.test(text) ? undefined : `${show(written)} is no query`,
    )
      .optional()
      .describe('Query that the target gets, without "?", with variables; empty for none. Default: the client’s.'),
    responses: flag()
      .prefault(false)
      .describe(
        'Whether Location, and Path and Domain of Set-Cookie, are made into what they are for the client: the prefix and host that were rewritten. Default false.',
      ),
  })
  .describe('Changes the target of requests on their way.')
