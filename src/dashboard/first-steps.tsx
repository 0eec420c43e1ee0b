import { useState } from 'preact/hooks'
import type { ListenerStatus } from '../admin/status-shape.js'

/** For the first look: nothing has come through yet, so say how to send something. */
export function FirstSteps({ listeners }: { listeners: readonly ListenerStatus[] }) {
  const listener = listeners.find(({ protocol, addresses }) => protocol === 'http' && addresses.length > 0)
  if (listener === undefined) return null
  const command = `curl -i http://${reachable(listener.addresses[0]!)}/`
  return (
    <section class="first" aria-labelledby="first-title">
      <div>
        <h2 id="first-title">No traffic yet</h2>
        <p>
          Listener <b>{listener.name}</b> is ready. Send it a first request and watch it arrive here:
        </p>
      </div>
      <Command text={command} />
    </section>
  )
}

function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  // Without a secure context there is no clipboard: the text can be selected with one click instead.
  const copy = (): void => {
    void navigator.clipboard.writeText(text).then(() => setCopied(true))
  }
  return (
    <div class="command">
      <code>{text}</code>
      {navigator.clipboard !== undefined && (
        <button type="button" onClick={copy}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  )
}

/** An address that listens everywhere is reached under the name this page was reached under. */
function reachable(address: string): string {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  return `${host === '0.0.0.0' || host === '[::]' ? location.hostname : host}${address.slice(at)}`
}
