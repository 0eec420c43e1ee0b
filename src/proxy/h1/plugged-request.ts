import type { PluginPhase } from '../../core/plugin.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import { type CheckedAnswer, checkAnswer, linesOf } from '../../plugin/checked-answer.js'
import { FAILED, isPromise, type PluginInstance } from '../../plugin/plugin-instance.js'
import { RequestView } from '../../plugin/request-view.js'
import { RequestPath } from '../../route/request-path.js'
import type { ListenerPlugins, RoutePlugins } from '../listener-plugins.js'
import { logRequest } from '../log-request.js'
import type { OwnAnswer } from '../own-answer.js'
import { RequestInfo } from '../request-info.js'
import type { Route } from '../route.js'
import type { Http1Context } from './h1-context.js'
import { PluggedDelivery } from './plugged-delivery.js'
import { pluginFields } from './plugin-fields.js'
import { PluginWait } from './plugin-wait.js'
import type { RequestSource, ServedRequest } from './served-request.js'
import { POLL_MS } from './session-state.js'
import { factsOf } from './template-facts.js'

/** Serves a request once its plug-ins have let it pass. Returns the first byte not consumed, and whether it is over. */
export interface PluggedServer {
  servePlugged(
    run: PluggedRequest,
    session: RequestSource,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): { readonly next: number; readonly isOver: boolean }
}

type Phase = Exclude<PluginPhase, 'setup'>
type Step = 'everywhere' | 'named' | 'route' | 'head'
const PHASE_OF: Readonly<Record<Step, Phase>> = {
  everywhere: 'onRequest',
  named: 'onRequest',
  route: 'onRoute',
  head: 'onRequestHead',
}

const path = new RequestPath()

/**
 * A request of a listener with plug-ins: asks them phase by phase until one answers, one fails, or a target is to be asked.
 * While one is waited for it is what its session serves, and consumes nothing. It lasts until the request is logged, since
 * later phases read its head.
 */
export class PluggedRequest implements ServedRequest {
  readonly undeliveredBytes = 0
  readonly view: RequestView
  readonly parser: RequestParser
  /** The head, alone. */
  readonly buffer: Uint8Array
  readonly plugins: ListenerPlugins
  /** Its id, and when it began. */
  readonly info = new RequestInfo()
  readonly waiting: PluginWait
  /** Name of the plug-in that has answered, or failed; empty without one. */
  decidedBy = ''
  ofRoute: RoutePlugins | undefined
  readonly #context: Http1Context
  readonly #server: PluggedServer
  readonly #session: RequestSource
  #step: Step = 'everywhere'
  #index = 0
  /** Where the bytes lie that came with the head, while the call that brought them is under way. */
  #read: { readonly buffer: Uint8Array; readonly start: number; readonly end: number } | undefined
  #next = 0
  #isServed = false
  #hasEnded = false

  constructor(
    context: Http1Context,
    server: PluggedServer,
    session: RequestSource,
    plugins: ListenerPlugins,
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
  ) {
    this.#context = context
    this.#server = server
    this.#session = session
    this.plugins = plugins
    this.parser = parser
    this.buffer = Uint8Array.prototype.slice.call(buffer, start, start + parser.headLength)
    const { info } = this
    const { clock, requestIds, accessLog } = context
    info.begin(session, clock.nowMs, clock.nowMs, clock.wallMs)
    info.capture(parser, this.buffer, 0, session.protocol, requestIds.next(), accessLog !== undefined)
    const { clientAddress, route } = session
    const { config } = route.settings
    const { tls } = clientAddress
    this.view = new RequestView({
      parser,
      buffer: this.buffer,
      id: Buffer.from(info.requestIdBytes).toString('latin1'),
      scheme: config.protocol,
      httpVersion: info.protocol,
      listener: config.name,
      client: { address: clientAddress.source.address, port: clientAddress.source.port },
      tls: tls && { version: tls.version, cipher: tls.cipher, serverName: tls.serverName ?? '' },
    })
    this.waiting = new PluginWait(context, session)
    context.keepParser(parser)
    plugins.set.enter()
  }

  /** Begins within the call that brought the head. Returns the first byte not consumed. */
  begin(buffer: Uint8Array, start: number, end: number): number {
    this.#read = { buffer, start, end }
    this.#next = start + this.parser.headLength
    this.#proceed()
    this.#read = undefined
    return this.#next
  }

  #proceed(): void {
    for (;;) {
      const list = this.#list()
      const plugin = list[this.#index]
      if (plugin === undefined) {
        if (!this.#advance()) return
        continue
      }
      this.#index++
      const phase = PHASE_OF[this.#step]
      const { view } = this
      view.mayChoose = phase !== 'onRequestHead'
      const returned = plugin.call(phase, view)
      if (isPromise(returned)) {
        this.#await(plugin, phase, returned)
        return
      }
      if (!this.#take(plugin, phase, returned)) return
    }
  }

  #list(): readonly PluginInstance[] {
    switch (this.#step) {
      case 'everywhere':
        return this.plugins.onRequest
      case 'named':
        return this.ofRoute!.onRequest
      case 'route':
        return this.ofRoute!.onRoute
      case 'head':
        return this.ofRoute!.onRequestHead
    }
  }

  /** All of a step have been asked. False where the request is on its way. */
  #advance(): boolean {
    const session = this.#session
    this.#index = 0
    switch (this.#step) {
      case 'everywhere': {
        session.chooseRoute(this.parser, this.buffer, 0)
        this.ofRoute = this.plugins.of(session.route)
        const { chosen } = this.view
        this.#step = 'named'
        if (chosen !== undefined) session.goBy(this.plugins.routeTo(session.route, chosen) ?? session.route)
        this.view.chosen = undefined
        this.#tellRoute()
        return true
      }
      case 'named':
        this.#step = 'route'
        return true
      case 'route':
        if (session.route.answer !== undefined) {
          this.#answer(session.route.answer)
          return false
        }
        this.#step = 'head'
        this.#tellSent()
        return true
      case 'head':
        this.#serve()
        return false
    }
  }

  #tellRoute(): void {
    const { route } = this.#session
    this.view.rule = route.rule?.name ?? ''
    this.view.targetGroup = route.answer === undefined ? route.group.config.name : ''
  }

  /** What the target will be asked for, where the rule rewrites it. */
  #tellSent(): void {
    const { rewrite } = this.#session.route.edits ?? {}
    if (rewrite === undefined || this.ofRoute!.onRequestHead.length === 0) return
    const { parser, buffer, view } = this
    const facts = factsOf(this.#session, this.info, parser, buffer, 0, '')
    path.take(parser, buffer, 0)
    if (rewrite.write(facts, path) !== 0) return
    const { bytes } = rewrite.out
    const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString('latin1')
    view.sent = {
      target: rewrite.targetEnd === 0 ? view.target : text(0, rewrite.targetEnd),
      host: rewrite.hostEnd > rewrite.targetEnd ? text(rewrite.targetEnd, rewrite.hostEnd) : view.host,
    }
  }

  /** What a plug-in has come to. False where the request is over with it. */
  #take(plugin: PluginInstance, phase: Phase, returned: unknown): boolean {
    if (returned === FAILED) return this.#pass(plugin)
    if (returned !== undefined && returned !== null) {
      const checked = checkAnswer(returned)
      if (typeof checked === 'string') {
        plugin.fail(phase, 'invalid', new TypeError(checked))
        return this.#pass(plugin)
      }
      this.decidedBy = plugin.name
      this.#answer(ownAnswer(checked, this.#session.route))
      return false
    }
    return this.#follow(plugin, phase)
  }

  /** Goes where the plug-in has said, if anywhere. */
  #follow(plugin: PluginInstance, phase: Phase): boolean {
    const { chosen } = this.view
    if (chosen === undefined) return true
    const route = this.plugins.routeTo(this.#session.route, chosen)
    if (route === undefined) {
      this.view.chosen = undefined
      const listed = `name ${JSON.stringify(chosen)} in its targetGroups`
      plugin.fail(phase, 'invalid', new TypeError(`it has chosen a group that it may not; ${listed}`))
      return this.#pass(plugin)
    }
    // Before there is a rule the choice is kept until there is one.
    if (this.#step === 'everywhere') return true
    this.view.chosen = undefined
    this.#session.goBy(route)
    this.#tellRoute()
    return true
  }

  /** Whether the request goes on without a plug-in that has failed. */
  #pass(plugin: PluginInstance): boolean {
    if (plugin.isOpen) return true
    this.decidedBy = plugin.name
    this.#answer({ type: 'failure', status: 500, reason: 'PLUGIN_FAILED' })
    return false
  }

  #await(plugin: PluginInstance, phase: Phase, promise: PromiseLike<unknown>): void {
    if (!this.#isServed) this.#session.onBegun(this, this.parser.hasBody)
    this.#isServed = true
    this.waiting.begin(plugin, phase, promise, (returned) => {
      if (this.#take(plugin, phase, returned)) this.#proceed()
    })
  }

  #answer(own: OwnAnswer): void {
    const { parser, buffer } = this
    this.waiting.drop()
    this.#session.answer(parser, buffer, 0, own, new PluggedDelivery(this.#context, this))
  }

  #serve(): void {
    const session = this.#session
    const read = this.#read
    if (read !== undefined) {
      this.#next = this.#server.servePlugged(this, session, read.buffer, read.start, read.end).next
      return
    }
    const { inputEnded } = session
    const served = this.#server.servePlugged(this, session, this.buffer, 0, this.buffer.length)
    if (served.isOver) return
    if (inputEnded) session.endServed()
    else session.feedBody()
  }

  /** What the access log gets of the plug-ins; their last phase, and the end of the request. */
  fieldsOf(info: RequestInfo): string {
    return pluginFields(this, info)
  }

  /** Nothing is to be read of it any more. */
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.waiting.drop()
    this.view.end('the request is over')
    this.plugins.set.leave()
  }

  onRequestBytes(_buffer: Uint8Array, start: number): number {
    return start
  }

  onClientWritable(): void {}

  /** Whoever has not sent all of a request by then has left. Any other may have half-closed, and waits. */
  onClientEnd(): void {
    if (!this.parser.hasBody) return
    this.onClientGone('CLIENT_CLOSED')
    this.#session.cutShort(true)
  }

  onClientGone(reason: ReasonCode): void {
    this.waiting.drop()
    this.view.end('the client is gone')
    this.info.route = this.#session.route
    logRequest(this.#context, this.info, reason, this)
    this.end()
  }

  checkTime(): number {
    return POLL_MS
  }

  settle(): void {}

  shutDown(): void {
    this.view.end('the thread ends')
    this.#answer({ type: 'failure', status: 503, reason: 'SHUTTING_DOWN' })
  }

  onTargetRemoved(): void {}
}

/** A plug-in's answer in the form of a rule's. What the rule takes out of answers is taken out of it, too. */
export function ownAnswer({ status, fields, body }: CheckedAnswer, { edits }: Route): OwnAnswer & { type: 'respond' } {
  const removed = edits?.response?.removed
  const kept = fields.filter(([name]) => !removed?.has(Buffer.from(name, 'latin1'), 0, name.length))
  return { type: 'respond', status, lines: linesOf(kept), body }
}
