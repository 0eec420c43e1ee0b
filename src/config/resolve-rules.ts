import type {
  HeaderEditsConfig,
  MatchConfig,
  MirrorConfig,
  RedirectAction,
  RewriteConfig,
  RuleAction,
  RuleConfig,
} from '../core/config-rules.js'
import { readBodyFile } from './body-file.js'
import type { ConfigFile, ListenerFile } from './schema.js'
import type { RuleFile } from './schema-rules.js'

type ResolvePath = (written: string) => string

/** The rules of a listener, those of the sets that it uses in their places. */
export function resolveRules(
  written: ListenerFile['rules'],
  sets: ConfigFile['ruleSets'],
  path: ResolvePath,
): readonly RuleConfig[] {
  if (written === undefined) return []
  const list = typeof written === 'string' ? (sets[written] ?? []) : written
  const rules = list.flatMap((item) =>
    'use' in item && typeof item.use === 'string' ? (sets[item.use] ?? []) : [item],
  )
  return rules.map((each, index) => resolveRule(each, index, path))
}

function resolveRule(rule: RuleFile, index: number, path: ResolvePath): RuleConfig {
  return {
    name: rule.name ?? String(index + 1),
    match: resolveMatch(rule.match),
    action: resolveAction(rule, path),
    ...(hasEdits(rule.requestHeaders) ? { requestHeaders: rule.requestHeaders } : {}),
    ...(hasEdits(rule.responseHeaders) ? { responseHeaders: rule.responseHeaders } : {}),
    ...(rule.rewrite === undefined ? {} : { rewrite: resolveRewrite(rule.rewrite) }),
    ...(rule.timeouts === undefined ? {} : { responseTimeoutMs: rule.timeouts.response }),
    ...(rule.plugins === undefined ? {} : { plugins: rule.plugins }),
  }
}

function resolveRewrite({ path, host, query, responses }: NonNullable<RuleFile['rewrite']>): RewriteConfig {
  return { path, host, query, responses }
}

function hasEdits(edits: HeaderEditsConfig | undefined): edits is HeaderEditsConfig {
  return edits !== undefined && edits.set.length + edits.add.length + edits.remove.length > 0
}

function resolveMatch(match: RuleFile['match']): MatchConfig {
  return {
    hosts: match.host ?? [],
    paths: match.path ?? [],
    pathRegex: match.pathRegex ?? '',
    methods: match.methods ?? [],
    headers: match.headers,
    query: match.query,
    cookies: match.cookies,
    sourceIp: match.sourceIp ?? [],
  }
}

function resolveAction({ forward, stickySplit, mirror, redirect, respond }: RuleFile, path: ResolvePath): RuleAction {
  if (forward !== undefined) {
    return { type: 'forward', to: forward, stickySplitMs: stickySplit ?? 0, mirror: mirror && resolveMirror(mirror) }
  }
  if (redirect !== undefined) return resolveRedirect(redirect)
  const { status, headers, body, bodyFile } = respond!
  const named = headers.some(({ name }) => name === 'content-type') || (body === undefined && bodyFile === undefined)
  return {
    type: 'respond',
    status,
    headers: named ? headers : [...headers, { name: 'content-type', value: 'text/plain; charset=utf-8' }],
    body: bodyFile === undefined ? Buffer.from(body ?? '', 'utf8') : readBody(path(bodyFile)),
    bodyFile: bodyFile === undefined ? '' : path(bodyFile),
  }
}

function resolveMirror({ targetGroup, percent, maxBody }: NonNullable<RuleFile['mirror']>): MirrorConfig {
  return { targetGroup, percent, maxBodyBytes: maxBody }
}

/** What cannot be read has been complained about, where anybody wanted to know. */
function readBody(path: string): Uint8Array {
  const read = readBodyFile(path)
  return 'problem' in read ? new Uint8Array(0) : read.bytes
}

function resolveRedirect(redirect: NonNullable<RuleFile['redirect']>): RedirectAction {
  return {
    type: 'redirect',
    status: redirect.status,
    protocol: redirect.protocol ?? '${scheme}',
    host: redirect.host ?? '${host}',
    // The port of one protocol says nothing of the other's.
    port: redirect.port ?? (redirect.protocol === undefined ? '${port}' : ''),
    path: redirect.path ?? '${path}',
    query: redirect.query ?? '${query}',
  }
}
