import { z } from 'zod'
import type { HeaderValue } from '../core/config-rules.js'
import { parseTemplate, variablesOf } from '../core/template.js'
import { show } from './fields.js'

/** What rules change of heads: names that may be edited, and values with variables. */

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const LONGEST_NAME = 40
const MAX_TEXT = 4096
/** Lines that one rule may write to a head. */
export const MOST_EDITS = 64

/** Why a field is not to be edited, by its name with all punctuation as "-", which is how targets may read it. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^host$/, 'says where the request goes'],
  [/^(content-length|transfer-encoding|trailer|expect)$/, 'frames the message'],
  [
    /^(connection|keep-alive|proxy-connection|te|upgrade|http2-settings|proxy-authenticate|proxy-authorization)$/,
    'concerns one connection only',
  ],
  [/^(x-forwarded-.*|forwarded|x-client-cert-.*)$/, 'is what Castor tells targets of clients'],
  [/^(x-request-id|via|date)$/, 'is Castor’s to write'],
  [/^sec-websocket-(key|accept|version)$/, 'belongs to the handshake, which Castor checks'],
]

/** Names that differ in case or punctuation only are one. */
export const foldName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

/** Why a field of that name cannot be edited; undefined where it can. */
export function nameProblem(name: string, side: Side): string | undefined {
  if (!TOKEN.test(name)) return `${show(name)} is no name of a header`
  if (name.length > LONGEST_NAME) return `${show(name)} is longer than ${LONGEST_NAME} characters`
  const folded = foldName(name)
  const [, why] = REFUSED.find(([pattern]) => pattern.test(folded)) ?? []
  if (why !== undefined) return `${name} ${why}, and cannot be edited`
  if (side === 'request' && folded === 'cookie') return `${name} holds what several have set, and cannot be edited`
  return undefined
}

export type Side = 'request' | 'response'

function valueProblem(value: string, side: Side): string | undefined {
  if (value.length > MAX_TEXT) return `is longer than ${MAX_TEXT} characters`
  if (value === '') return 'is empty; write the name in remove'
  if (!/^[\x20-\x7e]*$/.test(value) || value.trim() !== value)
    return `${show(value)} is no value of a header; write visible ASCII without space around it`
  try {
    const namesTarget = variablesOf(parseTemplate(value)).some(({ of }) => of === 'target')
    return namesTarget && side === 'request'
      ? '${target} is not known before the request is sent; write ${target_group}, or use responseHeaders'
      : undefined
  } catch (fault) {
    return (fault as Error).message
  }
}

const lines = (side: Side) =>
  z
    .record(z.string(), z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]))
    .prefault({})
    .transform((written, context): readonly HeaderValue[] => {
      const seen = new Map<string, string>()
      const entries = Object.entries(written)
      if (entries.length > MOST_EDITS)
        context.issues.push({ code: 'custom', message: `has more than ${MOST_EDITS} fields`, input: written })
      return entries.map(([key, value]): HeaderValue => {
        const before = seen.get(foldName(key))
        const problem =
          nameProblem(key, side) ??
          (before === undefined ? undefined : `${show(key)} is one with ${show(before)} to many targets; write one`) ??
          valueProblem(value, side)
        seen.set(foldName(key), key)
        if (problem !== undefined) context.issues.push({ code: 'custom', message: problem, input: value, path: [key] })
        return { name: key.toLowerCase(), value }
      })
    })

const names = (side: Side) =>
  z
    .array(
      z.string().transform((written, context): string => {
        const message = nameProblem(written, side)
        if (message !== undefined) context.issues.push({ code: 'custom', message, input: written })
        return written.toLowerCase()
      }),
    )
    .max(MOST_EDITS)
    .prefault([])

export function headerEdits(side: Side) {
  const what = side === 'request' ? 'the target gets' : 'the client gets'
  return z
    .strictObject({
      set: lines(side).describe(
        `Fields that ${what} with this value, in place of all of that name; variables such as \${client_ip} stand for what they are of the request. Where the value comes out empty, there is no such field.`,
      ),
      add: lines(side).describe(`Fields that ${what} beside those of the same name, with variables.`),
      remove: names(side).describe(`Names of fields that are taken out, in any case and punctuation.`),
    })
    .superRefine(({ set, remove }, context) => {
      for (const [index, name] of remove.entries()) {
        if (!set.some((each) => foldName(each.name) === foldName(name))) continue
        context.addIssue({ code: 'custom', message: `${show(name)} is in set already`, path: ['remove', index] })
      }
    })
}
