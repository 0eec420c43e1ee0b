import type { Status } from '../admin/status-shape.js'

/** How the page stands with the process. */
export type FeedState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'locked'; readonly refused: boolean }

export interface FeedEvents {
  onStatus(status: Status): void
  onState(state: FeedState): void
}

const TOKEN_KEY = 'castor-token'
/** One event a second is promised: after so long without one the connection is as good as gone. */
const SILENCE_MS = 5_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 10_000

/**
 * Reads `/api/v1/events` with fetch, since an EventSource cannot send a bearer token, and reads it again when it ends.
 */
export class Feed {
  readonly #events: FeedEvents
  #token = sessionStorage.getItem(TOKEN_KEY) ?? ''
  #retryMs = FIRST_RETRY_MS
  #current: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(events: FeedEvents) {
    this.#events = events
  }

  start(): void {
    void this.#run()
  }

  /** Tries again with this token; it is kept for this tab only. */
  unlock(token: string): void {
    this.#token = token
    sessionStorage.setItem(TOKEN_KEY, token)
    this.start()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#current?.abort()
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer)
    const attempt = new AbortController()
    this.#current = attempt
    let why = 'the stream ended'
    try {
      const headers: Record<string, string> = this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }
      const response = await fetch('./api/v1/events', { headers, signal: attempt.signal })
      if (response.status === 401) {
        const refused = this.#token !== ''
        this.#token = ''
        sessionStorage.removeItem(TOKEN_KEY)
        this.#events.onState({ kind: 'locked', refused })
        return
      }
      if (!response.ok || response.body === null) why = await refusal(response)
      else await this.#read(response.body, attempt)
    } catch (error) {
      if (attempt.signal.aborted && attempt.signal.reason !== SILENT) return
      why = attempt.signal.aborted ? 'nothing came for five seconds' : message(error)
    }
    this.#events.onState({ kind: 'lost', why })
    this.#timer = setTimeout(() => void this.#run(), this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS)
  }

  async #read(body: ReadableStream<Uint8Array<ArrayBuffer>>, attempt: AbortController): Promise<void> {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    let watchdog = setTimeout(() => attempt.abort(SILENT), SILENCE_MS)
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(watchdog)
        watchdog = setTimeout(() => attempt.abort(SILENT), SILENCE_MS)
        text += value
        const events = text.split('\n\n')
        text = events.pop()!
        for (const event of events) this.#take(event)
      }
    } finally {
      clearTimeout(watchdog)
    }
  }

  #take(event: string): void {
    const data = event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart())
      .join('\n')
    if (data === '') return
    this.#retryMs = FIRST_RETRY_MS
    this.#events.onState({ kind: 'live' })
    this.#events.onStatus(JSON.parse(data) as Status)
  }
}

const SILENT = 'silent'

async function refusal(response: Response): Promise<string> {
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | undefined
  return body?.error?.message ?? `status ${response.status}`
}

const message = (error: unknown): string => (error instanceof Error ? error.message.toLowerCase() : String(error))
