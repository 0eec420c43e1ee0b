import type { Status } from '../admin/status-shape.js'
import type { FeedState } from './feed.js'
import { duration } from './format.js'

/** The mark: one line in, three out. */
function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M9.5 16h4.2M13.7 16c4.2 0 3.2-7 8.3-7M13.7 16c4.2 0 3.2 7 8.3 7M13.7 16H22" />
      <circle cx="8" cy="16" r="2.6" />
      <circle cx="24" cy="9" r="2.2" />
      <circle cx="24" cy="16" r="2.2" />
      <circle cx="24" cy="23" r="2.2" />
    </svg>
  )
}

export function Header({ status, state }: { status: Status | null; state: FeedState }) {
  return (
    <header class="top">
      <h1>
        <Mark />
        Castor
      </h1>
      {status !== null && (
        <dl class="about">
          <div>
            <dt>Node</dt>
            <dd>{status.node}</dd>
          </div>
          <div>
            <dt>Version</dt>
            <dd>{status.version}</dd>
          </div>
          <div>
            <dt>Up</dt>
            <dd class="number">{duration(status.uptimeMs)}</dd>
          </div>
        </dl>
      )}
      <Health status={status} state={state} />
    </header>
  )
}

function Health({ status, state }: { status: Status | null; state: FeedState }) {
  if (state.kind === 'lost') return <span class="pill unknown">no connection</span>
  if (status === null) return <span class="pill unknown">connecting</span>
  if (status.state !== 'running') return <span class="pill warn">{status.state}</span>
  return <span class={`pill ${status.health === 'healthy' ? 'good' : 'bad'}`}>{status.health}</span>
}
