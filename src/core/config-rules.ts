/** Rules of http and https listeners as the program sees them: checked, names in lower case where case does not matter. */
export interface RuleConfig {
  /** As logs, metrics and explain call it; the file's default is its position in the list, from 1. */
  readonly name: string
  readonly match: MatchConfig
  readonly action: RuleAction
  /** Of what targets are sent; undefined where it changes nothing. */
  readonly requestHeaders?: HeaderEditsConfig | undefined
  /** Of what clients are answered, by targets or by the action. */
  readonly responseHeaders?: HeaderEditsConfig | undefined
  /** Of what targets are sent. */
  readonly rewrite?: RewriteConfig | undefined
  /** In place of the group's; undefined for that. */
  readonly responseTimeoutMs?: number | undefined
  /** Names of the plug-ins that are asked beside those that are asked everywhere; undefined for none. */
  readonly plugins?: readonly string[] | undefined
}

/** Templates; undefined for what stays as it is. */
export interface RewriteConfig {
  /** Ends in a slash and a star where what follows the rule's prefix is carried over. */
  readonly path: string | undefined
  /** With its port, if any. */
  readonly host: string | undefined
  /** Without "?"; empty for none. */
  readonly query: string | undefined
  /** Location and Set-Cookie are rewritten back. */
  readonly responses: boolean
}

/** Names in lower case, values as templates. */
export interface HeaderEditsConfig {
  readonly set: readonly HeaderValue[]
  readonly add: readonly HeaderValue[]
  readonly remove: readonly string[]
}

/** Every part that is given must hold; an empty list or text asks for nothing. */
export interface MatchConfig {
  /** In lower case: a name or an address, `*.X` or `X.*`. One of them. */
  readonly hosts: readonly string[]
  /** In normal form (`core/normal-path.ts`): a path, or one that ends in `/*` for all below it. One of them. */
  readonly paths: readonly string[]
  /** RE2 syntax, found anywhere in the path's normal form; empty = none. */
  readonly pathRegex: string
  readonly methods: readonly string[]
  /** Names in lower case. */
  readonly headers: readonly ValueMatch[]
  /** Names and values decoded. */
  readonly query: readonly ValueMatch[]
  readonly cookies: readonly ValueMatch[]
  /** CIDRs, as written. */
  readonly sourceIp: readonly string[]
}

/** What one header, query parameter or cookie must be like. */
export interface ValueMatch {
  readonly name: string
  readonly is: 'equal' | 'present' | 'absent' | 'matching'
  /** The text it equals, or the RE2 expression found in it; else empty. */
  readonly value: string
}

export type RuleAction = ForwardAction | RedirectAction | RespondAction

export interface ForwardAction {
  readonly type: 'forward'
  /** At least one, the sum of weights above 0. */
  readonly to: readonly WeightedGroup[]
  /** How long a client that has been given to one of them stays there; 0 = each request is given anew. */
  readonly stickySplitMs: number
  readonly mirror: MirrorConfig | undefined
}

export interface WeightedGroup {
  readonly targetGroup: string
  /** 0 to 1000. */
  readonly weight: number
}

/** Requests of which a copy goes elsewhere, whose answer nobody gets. */
export interface MirrorConfig {
  readonly targetGroup: string
  /** 0 to 100. */
  readonly percent: number
  /** A request with a larger body is not copied. */
  readonly maxBodyBytes: number
}

/** Parts of Location, as templates; an empty `port` is the protocol's own. */
export interface RedirectAction {
  readonly type: 'redirect'
  readonly status: 301 | 302 | 303 | 307 | 308
  readonly protocol: 'http' | 'https' | '${scheme}'
  readonly host: string
  readonly port: string
  readonly path: string
  readonly query: string
}

export interface RespondAction {
  readonly type: 'respond'
  readonly status: number
  readonly headers: readonly HeaderValue[]
  readonly body: Uint8Array
  /** Where it was read from, an absolute path; empty where the configuration has it itself. */
  readonly bodyFile: string
}

/** Name in lower case. */
export interface HeaderValue {
  readonly name: string
  readonly value: string
}
