import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Status } from '../admin/status-shape.js'
import { CertificatesTable } from './certificates-table.js'
import { Charts } from './charts.js'
import { Feed, type FeedState } from './feed.js'
import { FirstSteps } from './first-steps.js'
import { Header } from './header.js'
import { History, type Rates, ratesBetween, work } from './history.js'
import { HostsTable } from './hosts-table.js'
import { ListenersTable } from './listeners-table.js'
import { TargetGroups } from './target-groups.js'
import { TokenForm } from './token-form.js'
import { WorkersTable } from './workers-table.js'

interface Moment {
  readonly status: Status
  readonly rates: Rates | null
}

export function App() {
  const [moment, setMoment] = useState<Moment | null>(null)
  const [state, setState] = useState<FeedState>({ kind: 'connecting' })
  const history = useMemo(() => new History(), [])
  const last = useRef<Status | null>(null)
  const feed = useRef<Feed | null>(null)

  useEffect(() => {
    const reader = new Feed({
      onState: setState,
      onStatus(status) {
        const rates = last.current === null ? null : ratesBetween(last.current, status)
        last.current = status
        history.add(Date.parse(status.time) / 1000, status, rates)
        setMoment({ status, rates })
      },
    })
    feed.current = reader
    reader.start()
    return () => reader.stop()
  }, [history])

  if (state.kind === 'locked') {
    return <TokenForm refused={state.refused} onToken={(token) => feed.current?.unlock(token)} />
  }
  return (
    <>
      <Header status={moment?.status ?? null} state={state} />
      <div class="notice" role="status">
        {state.kind === 'lost' && (
          <p class="banner">
            <strong>Connection lost, retrying.</strong>{' '}
            {moment === null ? `Castor does not answer: ${state.why}.` : `What you see is not current: ${state.why}.`}
          </p>
        )}
      </div>
      {moment === null ? (
        <main>{state.kind === 'connecting' && <p class="quiet">Connecting …</p>}</main>
      ) : (
        <main class={state.kind === 'lost' ? 'stale' : undefined}>
          <Page moment={moment} history={history} />
        </main>
      )}
    </>
  )
}

function Page({ moment: { status, rates }, history }: { moment: Moment; history: History }) {
  const untouched = status.listeners.every((listener) => work(listener) === 0)
  return (
    <>
      {status.problems.length > 0 && (
        <section class="banner problems" aria-label="Problems">
          <strong>Degraded.</strong> {status.problems.join(' · ')}
        </section>
      )}
      {untouched && <FirstSteps listeners={status.listeners} />}
      <Charts history={history} status={status} rates={rates} />
      <ListenersTable listeners={status.listeners} rates={rates} />
      <CertificatesTable listeners={status.listeners} />
      <TargetGroups groups={status.targetGroups} rates={rates} />
      {status.cluster !== undefined && <HostsTable cluster={status.cluster} />}
      <WorkersTable workers={status.workers} />
    </>
  )
}
