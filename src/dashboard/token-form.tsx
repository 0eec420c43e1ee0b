import { useState } from 'preact/hooks'

export function TokenForm({ refused, onToken }: { refused: boolean; onToken: (token: string) => void }) {
  const [token, setToken] = useState('')
  return (
    <main class="locked">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (token !== '') onToken(token)
        }}
      >
        <h1>Castor</h1>
        <p>This dashboard asks for the token of the configuration, admin.token.</p>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value.trim())}
          aria-invalid={refused}
          aria-describedby="token-note"
        />
        <p id="token-note" class={refused ? 'refused' : 'quiet'} role={refused ? 'alert' : undefined}>
          {refused ? 'That token was not accepted.' : 'It is kept until this tab is closed.'}
        </p>
        <button type="submit">Open dashboard</button>
      </form>
    </main>
  )
}
