import type { PluginLogEntry } from '../../core/plugin.js'
import { MAX_EXTRA_BYTES } from '../../observe/access-log.js'
import { FAILED, isPromise } from '../../plugin/plugin-instance.js'
import type { RequestView } from '../../plugin/request-view.js'
import type { ListenerPlugins, RoutePlugins } from '../listener-plugins.js'
import type { RequestInfo } from '../request-info.js'

/** Less than all that a line may have of plug-ins: their names take some of it. */
const MAX_FIELDS_BYTES = 900

/** Who is told, and of which request. */
export interface LoggedPlugins {
  readonly view: RequestView
  /** Of the plug-in that has answered or failed; empty without one. */
  readonly decidedBy: string
  readonly plugins: ListenerPlugins
  /** Undefined where the request ended before it had a route. */
  readonly ofRoute: RoutePlugins | undefined
}

/** Tells plug-ins what became of the request. Returns what the access log says of them: nothing, or more of its JSON. */
export function pluginFields(run: LoggedPlugins, info: RequestInfo): string {
  const { decidedBy, view, ofRoute, plugins } = run
  const listed = (ofRoute ?? plugins.of(info.route)).onLog
  const fields: Record<string, unknown> = {}
  let bytes = 0
  const entry = listed.length === 0 ? undefined : entryOf(info)
  for (const plugin of listed) {
    const returned = plugin.call('onLog', entry, view)
    if (isPromise(returned)) {
      returned.then(undefined, (fault: unknown) => plugin.fail('onLog', 'threw', fault))
      continue
    }
    if (returned === FAILED || returned === undefined || returned === null) continue
    const checked = checkFields(returned)
    const text = typeof checked === 'string' ? checked : JSON.stringify(checked)
    bytes += text.length
    if (typeof checked === 'string') plugin.fail('onLog', 'invalid', new TypeError(checked))
    else if (Buffer.byteLength(text) > MAX_FIELDS_BYTES || bytes > MAX_FIELDS_BYTES) {
      plugin.fail('onLog', 'invalid', new TypeError(`fields for the log take more than ${MAX_FIELDS_BYTES} bytes`))
    } else fields[plugin.name] = checked
  }
  const answered = decidedBy === '' ? '' : `,"plugin":${JSON.stringify(decidedBy)}`
  if (Object.keys(fields).length === 0) return answered
  const all = `${answered},"plugins":${JSON.stringify(fields)}`
  return Buffer.byteLength(all) > MAX_EXTRA_BYTES ? answered : all
}

function checkFields(returned: unknown): Readonly<Record<string, unknown>> | string {
  if (typeof returned !== 'object' || returned === null || Array.isArray(returned))
    return 'fields for the log are a map'
  for (const [name, value] of Object.entries(returned)) {
    const isPlain = value === null || ['string', 'number', 'boolean'].includes(typeof value)
    if (!isPlain) return `the field ${name} for the log is neither text, a number, true, false nor null`
  }
  return returned as Readonly<Record<string, unknown>>
}

function entryOf(info: RequestInfo): PluginLogEntry {
  return {
    status: info.status,
    targetStatus: info.targetStatus,
    target: info.target?.id ?? '',
    targetGroup: info.route.group.config.name,
    rule: info.route.rule?.name ?? '',
    reason: info.reason === 'NONE' ? '' : info.reason,
    durationMs: info.endedMs - info.startedMs,
    receivedBytes: info.headBytes + info.receivedBytes,
    sentBytes: Math.max(0, info.sentBytes),
  }
}
