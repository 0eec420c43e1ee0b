import type { StatusReport } from './status-report.js'
import { type Column, count, type Palette, table } from './table.js'

/** Days left from which on a person should look. */
const SOON_DAYS = 30
const NAMES_SHOWN = 3

const CERTIFICATE_COLUMNS: readonly Column[] = [
  { title: 'LISTENER' },
  { title: 'CERTIFICATE' },
  { title: 'KEY' },
  { title: 'ISSUER' },
  { title: 'EXPIRES' },
  { title: 'DAYS LEFT', align: 'right' },
]

const HANDSHAKE_COLUMNS: readonly Column[] = [
  { title: 'LISTENER' },
  { title: 'HANDSHAKES', align: 'right' },
  { title: 'RESUMED', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'MOSTLY' },
]

/** Handshakes and certificates of the listeners that speak TLS; nothing where none does. */
export function tlsView({ listeners }: StatusReport, palette: Palette): string[] {
  const spoken = listeners.flatMap(({ name, tls }) => (tls ? [{ name, tls }] : []))
  if (spoken.length === 0) return []
  const handshakes = spoken.map(({ name, tls }) => {
    const failed = Object.values(tls.failures).reduce((sum, value) => sum + value, 0)
    const mostly = Object.entries(tls.failures).sort((a, b) => b[1] - a[1])[0]?.[0] ?? '–'
    const share = tls.handshakes === 0 ? '–' : `${Math.round((tls.resumed / tls.handshakes) * 100)} %`
    return [palette.bold(name), count(tls.handshakes), share, failed > 0 ? palette.warn(count(failed)) : '0', mostly]
  })
  const certificates = spoken.flatMap(({ name, tls }) =>
    tls.certificates.map(({ names, keyType, issuer, expires, daysLeft }) => {
      const paint = daysLeft < 0 ? palette.bad : daysLeft < SOON_DAYS ? palette.warn : palette.good
      return [palette.bold(name), nameList(names), keyType, issuer, expires.slice(0, 10), paint(String(daysLeft))]
    }),
  )
  return [table(HANDSHAKE_COLUMNS, handshakes, palette), table(CERTIFICATE_COLUMNS, certificates, palette)]
}

function nameList(names: readonly string[]): string {
  if (names.length === 0) return '–'
  const more = names.length - NAMES_SHOWN
  return names.slice(0, NAMES_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
