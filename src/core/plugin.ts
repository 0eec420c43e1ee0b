/** The contract between Castor and plug-ins: what a plug-in's module exports, and what its functions are given. */

/** The places on a request's way where plug-ins are asked, in that order. The index is the phase's place in shared memory. */
export const PLUGIN_PHASES = ['onRequest', 'onRoute', 'onRequestHead', 'onResponseHead', 'onLog', 'setup'] as const
export type PluginPhase = (typeof PLUGIN_PHASES)[number]

/**
 * How a plug-in may fail: it threw or its promise was rejected; its promise was not settled in time; what it returned cannot
 * be used; something that it left behind threw later. The index is the kind's place in shared memory.
 */
export const PLUGIN_FAILURES = ['threw', 'timeout', 'invalid', 'uncaught'] as const
export type PluginFailure = (typeof PLUGIN_FAILURES)[number]

/** Sent to the client in place of what a target would answer. Castor frames it: length, connection and date are not to be set. */
export interface PluginAnswer {
  /** 200 to 599. */
  readonly status: number
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>
  /** Text is sent as UTF-8. Without one the answer has an empty body. */
  readonly body?: string | Uint8Array
}

// biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing is meant
type Maybe<T> = T | undefined | void
/** What a function of a plug-in returns: nothing to let the request go on, or an answer. */
export type PluginVerdict = Maybe<PluginAnswer> | Promise<Maybe<PluginAnswer>>

/** Reads and edits header fields. Names are compared without case. */
export interface PluginHeaders {
  /** The field's value, all of that name joined by a comma; undefined where there is none. Edits of plug-ins are in it. */
  header(name: string): string | undefined
  /** Every field as it came, without the edits. */
  headers(): readonly (readonly [name: string, value: string])[]
  /** Takes the place of all fields of that name. Throws where the field may not be edited or the value is none. */
  setHeader(name: string, value: string | number): void
  /** The same beside fields of that name. */
  addHeader(name: string, value: string | number): void
  removeHeader(name: string): void
}

/** A request. What is edited here is what the target gets; rules match what the client sent. */
export interface PluginRequest extends PluginHeaders {
  /** As X-Request-Id and the access log have it. */
  readonly id: string
  readonly method: string
  /** Path and query as the client sent them. */
  readonly target: string
  /** Without the query, as the client sent it: percent-encoded, with dots and doubled slashes. Rules match its normal form. */
  readonly path: string
  /** Without "?"; undefined where there is none. */
  readonly query: string | undefined
  /** As the Host field or :authority has it. */
  readonly host: string
  readonly scheme: string
  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`. */
  readonly httpVersion: string
  readonly listener: string
  /** Whom the request is from: the peer, or whom a trusted proxy names. */
  readonly client: { readonly address: string; readonly port: number }
  readonly tls: { readonly version: string; readonly cipher: string; readonly serverName: string } | undefined
  /** Name of the rule that the request matches; empty where none does, and before `onRoute`. */
  readonly rule: string
  /** The group that is to answer; empty before `onRoute`, and where Castor answers itself. */
  readonly targetGroup: string
  /** What the target is asked for, after the rule's rewrite; in `onRequestHead`. */
  readonly sent: { readonly target: string; readonly host: string }
  /** Aborted when nobody waits any more: the client is gone, the deadline has passed, or the thread ends. */
  readonly signal: AbortSignal
  /**
   * Sends the request to that group, whatever the rule says; in `onRequest` and `onRoute`. Throws for a group that the
   * listener does not use and the plug-in's `targetGroups` does not name.
   */
  chooseTargetGroup(name: string): void
}

/** The head of a target's answer. What is edited here is what the client gets. */
export interface PluginResponse extends PluginHeaders {
  readonly status: number
  /** Id of the target. */
  readonly target: string
}

/** What became of a request. */
export interface PluginLogEntry {
  /** What the client was answered; 499 where it left before. */
  readonly status: number
  /** What the target answered; 0 without one. */
  readonly targetStatus: number
  /** Id of the target; empty without one. */
  readonly target: string
  readonly targetGroup: string
  readonly rule: string
  /** As in the access log; empty after an ordinary success. */
  readonly reason: string
  /** Milliseconds from the request's head to its end. */
  readonly durationMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** Fields for the access log, where they are under `plugins` and the plug-in's name. */
export type PluginLogFields = Readonly<Record<string, string | number | boolean | null>>

export interface PluginLog {
  debug(message: string, fields?: object): void
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

/** What a plug-in's `setup` is given. */
export interface PluginSetup<Options> {
  /** The name that the configuration gives it. */
  readonly name: string
  readonly options: Options
  /** Castor's log, at the level that the configuration has. */
  readonly log: PluginLog
  /** Name of the host. */
  readonly node: string
  /** The thread, from 1. */
  readonly worker: number
}

export interface PluginContext<Options, State> extends PluginSetup<Options> {
  /** What `setup` returned. */
  readonly state: State
}

/** What zod 3.24 and later, and other libraries, make of a schema: https://standardschema.dev */
export interface OptionsSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * A plug-in. Each proxy thread has its own: its module is imported, `setup` called, and what that returns is the state of that
 * thread. Requests of a thread share it and take turns at each `await`.
 */
export interface PluginDefinition<Options = unknown, State = unknown> {
  /** 1 to 64 of A–Z a–z 0–9 _ . - ; the configuration may give another. */
  readonly name: string
  /** Checks `options` of the configuration. Without one there may be no options. */
  readonly options?: OptionsSchema<Options>
  /** How long a promise of this plug-in may take. Default 1000; the configuration may say otherwise. */
  readonly deadlineMs?: number
  /** What becomes of a request when the plug-in fails: `closed` (default) answers 500, `open` goes on without it. */
  readonly failurePolicy?: 'closed' | 'open'
  /** When the thread takes the plug-in on, and again when its module or options have changed. At most ten seconds. */
  setup?(setup: PluginSetup<Options>): State | Promise<State>
  /** When no request uses this state any more. */
  close?(state: State): void | Promise<void>
  /** The head is there; no rule has been asked yet. */
  onRequest?(request: PluginRequest, context: PluginContext<Options, State>): PluginVerdict
  /** The rule is known, and with it the group. */
  onRoute?(request: PluginRequest, context: PluginContext<Options, State>): PluginVerdict
  /** The head is about to be sent to a target. Not called where none is asked. */
  onRequestHead?(request: PluginRequest, context: PluginContext<Options, State>): PluginVerdict
  /** The head of the target's answer is there. Not called for what Castor answers itself. */
  onResponseHead?(
    response: PluginResponse,
    request: PluginRequest,
    context: PluginContext<Options, State>,
  ): PluginVerdict
  /** The request is over. A promise is not waited for, and adds nothing to the log. */
  onLog?(
    entry: PluginLogEntry,
    request: PluginRequest,
    context: PluginContext<Options, State>,
  ): Maybe<PluginLogFields> | Promise<void>
}
