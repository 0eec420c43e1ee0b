import type { AdminConfig } from '../core/config.js'
import type { Path } from './problems.js'
import { entries, type Fields, isFields, type Report, text } from './tree.js'
import { unique } from './unique.js'

/** What the audit log calls the holder of `admin.token`. */
export const DEFAULT_NAME = 'default'
/** 64 bits in hexadecimal; whoever reaches the API may try as often as they like. */
const SHORT = 16

const ofAdmin = (root: Fields): Fields => (isFields(root.admin) ? root.admin : {})

/** Whether anything but a token lets somebody in. */
export function hasToken(root: Fields): boolean {
  const { token, tokens } = ofAdmin(root)
  return (token !== undefined && token !== '') || (Array.isArray(tokens) && tokens.length > 0)
}

/** A name or a token that is there twice would leave open who asked. */
export function checkTokens(root: Fields, report: Report): void {
  const admin = ofAdmin(root)
  const tokens = entries(admin, 'tokens', ['admin'])
  unique(tokens, ({ fields }) => text(fields.name), 'name', report)
  const own = text(admin.token) ?? ''
  const first = new Map<string, Path>(own === '' ? [] : [[own, ['admin', 'token']]])
  for (const { path, fields } of tokens) {
    if (own !== '' && fields.name === DEFAULT_NAME) {
      report([...path, 'name'], `"${DEFAULT_NAME}" is the name of admin.token; give this one another`)
    }
    const token = text(fields.token)
    if (token === undefined || token === '') continue
    const before = first.get(token)
    if (before === undefined) first.set(token, path)
    else report([...path, 'token'], `is the token of ${before.join('.')} as well; give each its own`)
  }
}

export function warnOfShortTokens({ token, tokens }: AdminConfig, warn: Report): void {
  const all: [Path, string][] = [
    [['admin', 'token'], token],
    ...tokens.map((each, index): [Path, string] => [['admin', 'tokens', index, 'token'], each.token]),
  ]
  for (const [path, value] of all) {
    if (value === '' || value.length >= SHORT) continue
    warn(
      path,
      `has ${value.length} characters and can be guessed; take ${SHORT} or more, as openssl rand -hex 16 makes`,
    )
  }
}
