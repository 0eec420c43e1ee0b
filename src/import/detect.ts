import type { Source } from './translate.js'

/** Which program a configuration is of, by what its lines begin with; undefined where nothing tells. */
export function detectSource(text: string): Source | undefined {
  if (/^(global|defaults|frontend|backend|listen)\b[^{;]*$/m.test(text)) return 'haproxy'
  if (/^\s*(http|server|events|upstream\s+\S+)\s*\{|^\s*(listen|proxy_pass|server_name)\s[^{}]*;/m.test(text))
    return 'nginx'
  if (/^(http|tls|tcp|entryPoints):\s*$/m.test(text)) return 'traefik'
  if (/^[^\s#][^\n;]*\{\s*$|^\s*(reverse_proxy|respond|redir|handle)\s/m.test(text)) return 'caddy'
  return undefined
}
