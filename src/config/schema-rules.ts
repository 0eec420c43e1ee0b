import { domainToASCII } from 'node:url'
import { RE2JS } from 're2js'
import { z } from 'zod'
import type { ValueMatch } from '../core/config-rules.js'
import { normalizePath } from '../core/normal-path.js'
import { parseTemplate, type Variable, variablesOf } from '../core/template.js'
import { cidr, duration, mustBe, name, show, size, wholeNumber } from './fields.js'
import { headerEdits } from './schema-header-edits.js'
import { rewrite } from './schema-rewrite.js'

/** Rules of http and https listeners: which requests, and what becomes of them. */

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const MAX_TEXT = 4096

/** A value, or a list of them. */
function oneOrMore<T extends z.ZodType>(item: T, what: string) {
  return z.union([item.transform((value) => [value] as z.output<T>[]), z.array(item).min(1)], mustBe(what))
}

/** Text that is refused with what `problem` says of it. */
function checked(problem: (text: string) => string | undefined) {
  return z
    .string()
    .max(MAX_TEXT)
    .superRefine((text, context) => {
      const message = problem(text)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    })
}

/** `*.X`, `X.*`, a name, an IPv4 address or an IPv6 address in brackets. */
const host = () =>
  z.string().transform((written, context): string => {
    const [before, middle, after] = written.startsWith('*.')
      ? ['*.', written.slice(2), '']
      : written.endsWith('.*')
        ? ['', written.slice(0, -2), '.*']
        : ['', written, '']
    const bare = middle.endsWith('.') ? middle.slice(0, -1) : middle
    const ascii = before + after === '' && /^\[[0-9A-Fa-f:.]+\]$/.test(bare) ? bare.toLowerCase() : domainToASCII(bare)
    const isName = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(ascii)
    if (/[*:/\s]/.test(bare.replace(/^\[.*\]$/, '')) || (!isName && !ascii.startsWith('[')) || ascii.length > 253) {
      const message = `${show(written)} is no host; write a name without a port, like shop.example, *.shop.example or shop.*`
      context.issues.push({ code: 'custom', message, input: written })
      return z.NEVER
    }
    return before + ascii + after
  })

const path = () =>
  z.string().transform((written, context): string => {
    const prefix = written.endsWith('/*')
    const plain = prefix ? written.slice(0, -1) : written
    const problem = pathProblem(written, plain)
    if (problem === undefined) return normalizePath(plain) + (prefix ? '*' : '')
    context.issues.push({ code: 'custom', message: problem, input: written })
    return z.NEVER
  })

function pathProblem(written: string, plain: string): string | undefined {
  if (!written.startsWith('/')) return `${show(written)} must begin with "/", like /api/*`
  if (plain.includes('*'))
    return `${show(written)}: "*" stands at the end only, behind a "/", like /api/*; else use pathRegex`
  if (/[?#]/.test(plain)) return `${show(written)}: a path has no query; use query: for that`
  return /^([!$&-;=@-Z_a-z~[\]^|]|%[0-9A-Fa-f]{2})*$/.test(plain)
    ? undefined
    : `${show(written)} holds characters that no request can have; write them escaped, like %C3%A9`
}

export function regexProblem(expression: string): string | undefined {
  try {
    RE2JS.compile(expression)
    return undefined
  } catch (fault) {
    return `${show(expression)} is no expression of RE2’s syntax: ${(fault as Error).message}`
  }
}

/** Of a header, query parameter or cookie. */
const valueMatch = z.union([z.string().max(MAX_TEXT), z.number().transform(String), z.boolean().transform(String)], {
  ...mustBe('text, "*" (it is there), "!" (it is not) or ~ and an expression'),
})

/** A map from names to what their values must be like. */
function valueMatches(lowerCase: boolean, problem: (name: string) => string | undefined, asciiOnly: boolean) {
  return z
    .record(z.string(), valueMatch)
    .prefault({})
    .transform((written, context): readonly ValueMatch[] =>
      Object.entries(written).map(([key, value]): ValueMatch => {
        const refuse = (message: string): void => {
          context.issues.push({ code: 'custom', message, input: value, path: [key] })
        }
        const complaint = problem(key)
        if (complaint !== undefined) refuse(complaint)
        const called = lowerCase ? key.toLowerCase() : key
        if (value === '*') return { name: called, is: 'present', value: '' }
        if (value === '!') return { name: called, is: 'absent', value: '' }
        if (value.startsWith('~')) {
          const wrong = regexProblem(value.slice(1))
          if (wrong !== undefined) refuse(wrong)
          return { name: called, is: 'matching', value: value.slice(1) }
        }
        if (asciiOnly && !/^[\x20-\x7e]*$/.test(value)) refuse('must be visible ASCII, as in the request')
        return { name: called, is: 'equal', value }
      }),
    )
}

const headerName = (key: string): string | undefined => {
  if (!TOKEN.test(key)) return `${show(key)} is no name of a header`
  if (key.toLowerCase() === 'host') return 'write match.host instead'
  return key.toLowerCase() === 'cookie' ? 'write match.cookies instead' : undefined
}
const cookieName = (key: string): string | undefined =>
  TOKEN.test(key) ? undefined : `${show(key)} is no name of a cookie`

const match = z
  .strictObject({
    host: oneOrMore(host(), 'a host, like shop.example or *.shop.example, or a list of them')
      .optional()
      .describe(
        'Host of the request, without its port: a name, *.X (any name below X), X.* (any name that begins so), or a list. The most particular one decides. Default: any.',
      ),
    path: oneOrMore(path(), 'a path, like /api/*, or a list of them')
      .optional()
      .describe(
        'Path of the request in normal form: itself, /a/* for all below it, or a list. Itself goes before the longest prefix. Where /a/* is named and /a is not, /a is sent to /a/. Default: any.',
      ),
    pathRegex: checked(regexProblem)
      .optional()
      .describe(
        'Expression in RE2’s syntax that is found in the path in normal form; ^ and $ stand for its ends. Looked at after paths and prefixes, in linear time, each by itself: many of them cost CPU. Not with path.',
      ),
    methods: z
      .array(checked((text) => (TOKEN.test(text) ? undefined : `${show(text)} is no method`)))
      .min(1)
      .optional()
      .describe('Methods, as requests write them: [GET, HEAD]. Default: any.'),
    headers: valueMatches(true, headerName, true).describe(
      'Header fields by name: the value, "*" (it is there), "!" (it is not), or ~ and an expression that is found in it. Of several lines one that fits is enough.',
    ),
    query: valueMatches(false, () => undefined, false).describe(
      'Query parameters by name, decoded: the value, "*", "!", or ~ and an expression.',
    ),
    cookies: valueMatches(false, cookieName, true).describe(
      'Cookies by name: the value, "*", "!", or ~ and an expression.',
    ),
    sourceIp: z.array(cidr()).min(1).optional().describe('CIDRs of the client’s address. Default: any.'),
  })
  .prefault({})
  .superRefine((written, context) => {
    if (written.path === undefined || written.pathRegex === undefined) return
    context.addIssue({ code: 'custom', message: 'has path already; write one of them', path: ['pathRegex'] })
  })
  .describe('Which requests the rule is for: all that is given must hold. Default: every request.')

const MOST_WEIGHT = 1000
const YEAR_MS = 365 * 24 * 60 * 60 * 1_000

const split = z
  .array(
    z.strictObject({
      targetGroup: name().describe('A target group that gets a share.'),
      weight: wholeNumber(0, MOST_WEIGHT)
        .prefault(10)
        .describe('Its share beside the others. 0 to 1000, default 10; 0 gets none.'),
    }),
  )
  .min(1)

const MIRRORED_BODY = 64 * 1024

const mirror = z.strictObject({
  targetGroup: name().describe('The target group that gets the copies.'),
  percent: wholeNumber(0, 100)
    .prefault(100)
    .describe('How many of a hundred requests are copied. 0 to 100, default 100.'),
  maxBody: size(0, 1024 * 1024)
    .prefault('64KiB')
    .describe(
      'Requests with larger bodies are not copied. 0B to 1MiB, default 64KiB. Bodies are kept in memory until they are whole.',
    ),
})

/** What may stand in a part of a redirect's Location. */
function redirectPart(
  allowed: (variable: Variable) => boolean,
  problem: (text: string, written: string) => string | undefined,
) {
  return checked((text) => {
    try {
      const parts = parseTemplate(text)
      const other = variablesOf(parts).find((variable) => !allowed(variable))
      if (other !== undefined) return `\${${'name' in other ? other.of + other.name : other.of}} cannot stand here`
    } catch (fault) {
      return (fault as Error).message
    }
    return problem(text.replace(/\$\{[^}]*\}/g, 'x'), text)
  })
}

const urlVariable = ({ of }: Variable): boolean =>
  of === 'host' || of === 'path' || of === 'query' || of === 'query.' || of === 'request_id'

/** What an expression captures of a path is in normal form, and ends no line and no path. */
const pathVariable = (variable: Variable): boolean => variable.of === 'capture' || urlVariable(variable)

const redirect = z
  .strictObject({
    status: z
      .literal([301, 302, 303, 307, 308], {
        error: ({ input }) => `must be 301, 302, 303, 307 or 308, not ${show(input)}`,
      })
      .prefault(302)
      .describe('Status of the answer: 301, 302 (default), 303, 307 or 308. Browsers keep 301 and 308 for good.'),
    protocol: z
      .enum(['http', 'https', '${scheme}'])
      .optional()
      .describe('http, https or ${scheme}. Default: the request’s own.'),
    host: redirectPart(
      ({ of }) => of === 'host',
      (text) => (/^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$/.test(text) ? undefined : `${show(text)} is no host`),
    )
      .optional()
      .describe('Host, with ${host} for the request’s own. Default: ${host}.'),
    port: z
      .union([z.literal('${port}'), wholeNumber(1, 65_535).transform(String)], mustBe('a port or ${port}'))
      .optional()
      .describe(
        'Port, or ${port} for the request’s own. Default: the protocol’s own where protocol is given, else ${port}.',
      ),
    path: redirectPart(pathVariable, (text, written) => {
      if (!written.startsWith('/') && !written.startsWith('${path}')) return 'must begin with "/" or ${path}'
      return /^[!$&-;=@-Z_a-z~%[\]^|]+$/.test(text) ? undefined : `${show(text)} is no path`
    })
      .optional()
      .describe('Path, with ${path} for the request’s own and ${1} for what pathRegex captures. Default: ${path}.'),
    query: redirectPart(urlVariable, (text) =>
      /^[!$&-;=?@-Z_a-z~%[\]^|]*$/.test(text) ? undefined : `${show(text)} is no query`,
    )
      .optional()
      .describe('Query without its "?", with ${query} for the request’s own; empty for none. Default: ${query}.'),
  })
  .describe('Sends the client elsewhere.')

const MAX_BODY = 64 * 1024
/** Those that frame the message or are written by Castor. */
const OWN_FIELDS = /^(connection|content-length|transfer-encoding|keep-alive|proxy-.*|te|trailer|upgrade|host|date)$/

const headerValues = z
  .record(z.string(), z.union([z.string(), z.number().transform(String)]))
  .prefault({})
  .transform((written, context) =>
    Object.entries(written).map(([key, value]) => {
      const called = key.toLowerCase()
      const problem = !TOKEN.test(key)
        ? `${show(key)} is no name of a header`
        : OWN_FIELDS.test(called)
          ? `${key} is Castor’s to write; leave it out`
          : /^[\x20-\x7e]*$/.test(value) && value.trim() === value
            ? undefined
            : `${show(value)} is no value of a header; write visible ASCII without space around it`
      if (problem !== undefined) context.issues.push({ code: 'custom', message: problem, input: value, path: [key] })
      return { name: called, value }
    }),
  )

const respond = z
  .strictObject({
    status: wholeNumber(200, 599).prefault(200).describe('Status of the answer. 200 to 599, default 200.'),
    body: z.string().max(MAX_BODY).optional().describe('Its body, as UTF-8 text of at most 64 KiB. Default: none.'),
    bodyFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that is its body, at most 1 MiB, read at each start and reload; instead of body.'),
    headers: headerValues.describe(
      'Its header fields; content-type is text/plain; charset=utf-8 where it is left out.',
    ),
  })
  .superRefine((written, context) => {
    if (written.body !== undefined && written.bodyFile !== undefined) {
      context.addIssue({ code: 'custom', message: 'has body already; write one of them', path: ['bodyFile'] })
    }
  })
  .describe('Answers the request without asking a target.')

/** Which of them may stand together, and where none has to, is checked by `check-rules.ts`. */
const keys = {
  name: name()
    .optional()
    .describe('Name of the rule in logs, metrics and explain, unique in its list. Default: its position, from 1.'),
  match,
  forward: z
    .union(
      [name().transform((group) => [{ targetGroup: group, weight: 1 }]), split],
      mustBe('a target group, or a list of { targetGroup, weight }'),
    )
    .optional()
    .describe('The target group that answers, or several by weight.'),
  stickySplit: duration(1_000, YEAR_MS)
    .optional()
    .describe(
      'Keeps a client with the group that forward gave it to, for so long after its last answer, by a cookie CASTOR-SPLIT-NAME with the rule’s name, or its listener’s and its position. 1s to 8760h. Default: each request is given anew.',
    ),
  mirror: z
    .union(
      [name().transform((targetGroup) => ({ targetGroup, percent: 100, maxBody: MIRRORED_BODY })), mirror],
      mustBe('a target group, or { targetGroup, percent, maxBody }'),
    )
    .optional()
    .describe(
      'A target group that gets a copy of the requests, whose answers are thrown away; all of them, or percent of them. Clients notice nothing of it.',
    ),
  redirect: redirect.optional(),
  respond: respond.optional(),
  requestHeaders: headerEdits('request').optional().describe('Changes header fields on their way to the target.'),
  responseHeaders: headerEdits('response')
    .optional()
    .describe(
      'Changes header fields on their way to the client: of targets’ answers, redirects and respond, not of Castor’s own errors.',
    ),
  rewrite: rewrite.optional(),
  timeouts: z
    .strictObject({
      response: duration(10, 86_400_000).describe(
        'From the end of a request to the head of its answer, in place of the group’s. Duration, 10ms to 24h. Higher lets hung targets hold connections; lower cuts slow answers.',
      ),
    })
    .optional()
    .describe('How long things may take for these requests.'),
  plugins: z
    .array(name())
    .min(1)
    .optional()
    .describe(
      'Names of plug-ins that are asked for these requests, in this order, behind those that are asked for every request. A plug-in that some rule names is asked nowhere else.',
    ),
}

const rule = z.strictObject(keys).describe('What becomes of some requests.')

export type RuleFile = z.output<typeof rule>

const ruleOrSet = z
  .strictObject({
    use: name().optional().describe('A rule set, whose rules stand here; such an item has no other key.'),
    ...keys,
  })
  .describe('What becomes of some requests, or a rule set.')

const MOST_RULES = 20_000

export const rules = z
  .union([name(), z.array(ruleOrSet).max(MOST_RULES)], mustBe('a list of rules, or the name of a rule set'))
  .optional()
  .describe(
    'Which requests go elsewhere than to targetGroup, or are answered here, on http and https listeners: a list of rules, { use: NAME } for those of a rule set among them, or the name of one. Host first (itself, longest *.X, longest X.*), then path (itself, longest prefix, pathRegex), then more other conditions, then position. Default: none.',
  )

export const ruleSets = z
  .record(name(), z.array(rule).max(MOST_RULES))
  .prefault({})
  .describe('Rules that several listeners share, by name.')
