import { printable } from '../core/printable.js'

/** What the client library and the server say, and what an operator can do something with; the first that fits. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ENOTFOUND|EAI_AGAIN/, 'the name cannot be resolved'],
  [/ENOENT.*open|EACCES.*open/, 'the file of its authorities (ca) cannot be read'],
  [/EHOSTUNREACH|ENETUNREACH/, 'no route to it'],
  [/ECONNRESET|EPIPE/, 'connection reset'],
  [/ETIMEDOUT|no answer|timed? ?out/i, 'no answer'],
  [/WRONGPASS|invalid password|invalid username-password/i, 'wrong password, or no such user'],
  [/NOAUTH|Authentication required/i, 'it asks for a password, and none is configured'],
  [/^LOADING/, 'loading its data from disk'],
  [/^OOM/, 'out of memory: maxmemory is reached and its policy evicts nothing'],
  [/^READONLY/, 'it is a replica, and takes no writes'],
  [/^MISCONF/, 'it cannot save to its disk, and takes no writes'],
  [/exhausted the last possible ID/, 'its stream was given the last id there is: delete the key castor:{NAME}:stream'],
  [/^WRONGTYPE/, 'a key castor:{NAME}:stream or :epoch holds something else: delete it'],
  [/^MASTERDOWN/, 'it is a replica that has lost its master'],
  [/^CLUSTERDOWN/, 'the Redis Cluster is down'],
  [/^NOREPLICAS/, 'it has too few replicas, and takes no writes'],
  [/max number of clients/i, 'it has as many clients as it allows'],
  [/All sentinels are unreachable/, 'no sentinel names a master'],
  [/slots cache|startup nodes/i, 'no node of the Redis Cluster answers'],
  [/Connection is closed|Stream isn't writeable|max retries per request|Cluster is ended/i, 'connection lost'],
]

/** TLS has codes of its own: what they say is clear enough, that it is about TLS is not. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_OSSL|EPROTO)/

/** What the server refuses until an operator does something about it. */
const REFUSALS = /^(NOPERM|WRONGPASS|NOAUTH|WRONGTYPE)|invalid (username-)?password|exhausted the last possible ID/i
/** A reason is a line on a screen. */
const MAX_REASON = 200

export function isRefusal(cause: unknown): boolean {
  return cause instanceof Error && REFUSALS.test(cause.message)
}

/**
 * Why there is no Redis, in words for an operator. Holds no secret: messages of errors name none. It may be the server's
 * own text, and anybody may pose as a server: nothing in it is for a terminal to act upon.
 */
export function reasonOf(cause: unknown): string {
  return printable(wordsOf(cause)).slice(0, MAX_REASON)
}

function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const { code, lastNodeError } = cause as { readonly code?: unknown; readonly lastNodeError?: unknown }
  // A cluster's client wraps what its last node said.
  if (lastNodeError instanceof Error) return wordsOf(lastNodeError)
  const { message } = cause
  if (typeof code === 'string' && TLS_CODE.test(code)) return `TLS: ${message}`
  const denied = /^NOPERM.*?(?:run the '([^']+)'|'([^']+)' command)/.exec(message)
  if (denied !== null) return `its user is not authorised to run ${(denied[1] ?? denied[2])!.toUpperCase()}`
  if (message.startsWith('NOPERM')) return 'its user is not authorised for the keys castor:*'
  const text = typeof code === 'string' ? `${message} ${code}` : message
  return wordsFor(text) ?? message
}

function wordsFor(text: string): string | undefined {
  // What the sentinels or the nodes said last tells more than that all of them did.
  const last = / Last error: (.*)$/.exec(text)?.[1]
  const words = WORDS.find(([pattern]) => pattern.test(text))?.[1]
  if (last === undefined) return words
  return `no sentinel names a master (${WORDS.find(([pattern]) => pattern.test(last))?.[1] ?? last})`
}
