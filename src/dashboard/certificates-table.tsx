import type { ListenerStatus } from '../admin/status-shape.js'
import type { CertificateStatus, TlsStatus } from '../admin/tls-status.js'
import { count } from './format.js'
import { Panel } from './panel.js'

/** Renewal is overdue from here on, in days. */
const SOON_DAYS = 30

/** The certificates of all listeners that speak TLS, and how their handshakes go. */
export function CertificatesTable({ listeners }: { listeners: readonly ListenerStatus[] }) {
  const secure = listeners.flatMap(({ name, tls }) => (tls === null ? [] : [{ name, tls }]))
  if (secure.length === 0) return null
  return (
    <Panel id="certificates" title="TLS" aside="handshakes since the start">
      <thead>
        <tr>
          <th scope="col">Listener</th>
          <th scope="col">Certificate for</th>
          <th scope="col">Key</th>
          <th scope="col">Expires</th>
          <th scope="col" class="number">
            Handshakes
          </th>
          <th scope="col" class="number" title="of these, those that went on with an earlier session">
            Resumed
          </th>
          <th scope="col">Failed</th>
        </tr>
      </thead>
      <tbody>
        {secure.flatMap(({ name, tls }) =>
          tls.certificates.map((certificate, index) => (
            <Row
              key={`${name} ${certificate.fingerprint}`}
              listener={name}
              certificate={certificate}
              // Handshakes are counted for the listener, not for each of its certificates.
              tls={index === 0 ? tls : null}
            />
          )),
        )}
      </tbody>
    </Panel>
  )
}

interface RowProps {
  readonly listener: string
  readonly certificate: CertificateStatus
  readonly tls: TlsStatus | null
}

function Row({ listener, certificate: { names, keyType, issuer, fingerprint, expires, daysLeft }, tls }: RowProps) {
  const urgency = daysLeft < 0 ? 'bad' : daysLeft < SOON_DAYS ? 'warn' : 'good'
  return (
    <tr>
      <th scope="row">{tls === null ? <span class="quiet">{listener}</span> : listener}</th>
      <td class="mono" title={`issued by ${issuer}, SHA-256 ${fingerprint}`}>
        {names.length === 0 ? '–' : names.join(', ')}
      </td>
      <td>{keyType}</td>
      <td title={new Date(expires).toLocaleString()}>
        <span class={`dot ${urgency}`}>{daysLeft < 0 ? 'expired' : `in ${count(daysLeft)} days`}</span>
      </td>
      <td class="number">{tls === null ? '' : count(tls.handshakes)}</td>
      <td class="number">{tls === null ? '' : resumed(tls)}</td>
      <td>{tls === null ? '' : failures(tls)}</td>
    </tr>
  )
}

const resumed = ({ handshakes, resumed }: TlsStatus): string =>
  handshakes === 0 ? '–' : `${Math.round((resumed / handshakes) * 100)}%`

/** The most common first. */
const failures = ({ failures }: TlsStatus): string =>
  Object.entries(failures)
    .sort(([, a], [, b]) => b - a)
    .map(([fault, times]) => `${fault} ${count(times)}`)
    .join(', ')
