import type {
  HeaderEditsConfig,
  HeaderValue,
  MatchConfig,
  MirrorConfig,
  RewriteConfig,
  RuleConfig,
  ValueMatch,
} from '../core/config-rules.js'
import type { ShownFile } from './shown-file.js'
import type { Fields } from './tree.js'
import { formatDuration, formatSize } from './units.js'

/** Rules in the form of the file, those of rule sets written out where they are used. */
export function rulesDocument(rules: readonly RuleConfig[], file: ShownFile): readonly Fields[] {
  return rules.map(
    ({ name, match, action, requestHeaders, responseHeaders, rewrite, responseTimeoutMs, plugins }, index) => ({
      ...(name === String(index + 1) ? {} : { name }),
      match: matchDocument(match),
      ...actionDocument(action, file),
      ...(requestHeaders === undefined ? {} : { requestHeaders: editsDocument(requestHeaders) }),
      ...(responseHeaders === undefined ? {} : { responseHeaders: editsDocument(responseHeaders) }),
      ...(rewrite === undefined ? {} : { rewrite: rewriteDocument(rewrite) }),
      ...(responseTimeoutMs === undefined ? {} : { timeouts: { response: formatDuration(responseTimeoutMs) } }),
      ...(plugins === undefined ? {} : { plugins: [...plugins] }),
    }),
  )
}

function rewriteDocument({ path, host, query, responses }: RewriteConfig): Fields {
  return {
    ...(path === undefined ? {} : { path }),
    ...(host === undefined ? {} : { host }),
    ...(query === undefined ? {} : { query }),
    responses,
  }
}

function editsDocument({ set, add, remove }: HeaderEditsConfig): Fields {
  return {
    ...(set.length === 0 ? {} : { set: headersDocument(set) }),
    ...(add.length === 0 ? {} : { add: headersDocument(add) }),
    ...(remove.length === 0 ? {} : { remove: [...remove] }),
  }
}

function headersDocument(headers: readonly HeaderValue[]): Fields {
  return Object.fromEntries(headers.map(({ name, value }) => [name, value]))
}

function matchDocument(match: MatchConfig): Fields {
  const lists = {
    host: match.hosts,
    path: match.paths,
    methods: match.methods,
    sourceIp: match.sourceIp,
  }
  return {
    ...Object.fromEntries(
      Object.entries(lists).flatMap(([key, value]) => (value.length === 0 ? [] : [[key, [...value]]])),
    ),
    ...(match.pathRegex === '' ? {} : { pathRegex: match.pathRegex }),
    ...(match.headers.length === 0 ? {} : { headers: valuesDocument(match.headers) }),
    ...(match.query.length === 0 ? {} : { query: valuesDocument(match.query) }),
    ...(match.cookies.length === 0 ? {} : { cookies: valuesDocument(match.cookies) }),
  }
}

function valuesDocument(matches: readonly ValueMatch[]): Fields {
  return Object.fromEntries(matches.map((each) => [each.name, valueDocument(each)]))
}

function valueDocument({ is, value }: ValueMatch): string {
  switch (is) {
    case 'present':
      return '*'
    case 'absent':
      return '!'
    case 'matching':
      return `~${value}`
    case 'equal':
      return value
  }
}

function mirrorDocument({ targetGroup, percent, maxBodyBytes }: MirrorConfig): Fields {
  return { targetGroup, percent, maxBody: formatSize(maxBodyBytes) }
}

function actionDocument(action: RuleConfig['action'], file: ShownFile): Fields {
  switch (action.type) {
    case 'forward': {
      const [only, ...more] = action.to
      return {
        forward: more.length === 0 ? only!.targetGroup : action.to.map((each) => ({ ...each })),
        ...(action.mirror === undefined ? {} : { mirror: mirrorDocument(action.mirror) }),
        ...(action.stickySplitMs === 0 ? {} : { stickySplit: formatDuration(action.stickySplitMs) }),
      }
    }
    case 'redirect': {
      const { type: _type, port, ...parts } = action
      return { redirect: { ...parts, ...(port === '' ? {} : { port: /^\d+$/.test(port) ? Number(port) : port }) } }
    }
    case 'respond': {
      const { status, headers, body, bodyFile } = action
      return {
        respond: {
          status,
          ...(bodyFile === '' ? { body: Buffer.from(body).toString('utf8') } : { bodyFile: file(bodyFile, [body]) }),
          headers: headersDocument(headers),
        },
      }
    }
  }
}
