import { draftOfCaddy } from './caddy.js'
import { castorFile, type Draft } from './draft.js'
import { type Finding, Findings, ImportError } from './findings.js'
import { draftOfHaproxy } from './haproxy.js'
import { draftOfNginx } from './nginx.js'
import { draftOfTraefik } from './traefik.js'

/** Other programs' configurations as Castor's. */

export const SOURCES = ['haproxy', 'nginx', 'traefik', 'caddy'] as const
export type Source = (typeof SOURCES)[number]

export interface Translation {
  readonly source: Source
  /** Castor's file; undefined where nothing could be made of the text. */
  readonly yaml: string | undefined
  readonly findings: readonly Finding[]
}

const DRAFTS: Readonly<Record<Source, (text: string, findings: Findings) => Draft>> = {
  haproxy: draftOfHaproxy,
  nginx: draftOfNginx,
  traefik: draftOfTraefik,
  caddy: draftOfCaddy,
}

/** `file` is what the result calls the text. */
export function translate(text: string, source: Source, file: string): Translation {
  const findings = new Findings()
  try {
    const yaml = castorFile(DRAFTS[source](text, findings), file, findings)
    return { source, yaml, findings: findings.all }
  } catch (fault) {
    if (!(fault instanceof ImportError)) throw fault
    findings.untranslated(fault.line, 'the file', fault.message)
    return { source, yaml: undefined, findings: findings.all }
  }
}
