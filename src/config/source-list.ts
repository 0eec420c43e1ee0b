import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import type { AddressRanges } from '../core/address-ranges.js'
import { RangesBuilder } from './address-ranges.js'
import { parseCidr } from './addresses.js'
import type { Parsed } from './units.js'

/** A million networks of IPv6, each on a line, with room for comments. */
const MAX_FILE_BYTES = 128 * 1024 * 1024
/** Of a file's lines that are no networks so many are told. */
const MAX_PROBLEMS = 5

const FILE = 'file:'

/** An item of a list of sources: a CIDR, or `file:PATH`. */
export function parseSourceItem(written: string): Parsed<string> {
  if (written.startsWith(FILE)) {
    return written.length > FILE.length
      ? { ok: true, value: written }
      : { ok: false, problem: '"file:" names no file; write file: and its path' }
  }
  return parseCidr(written)
}

/** The path of an item that names a file, undefined for a network. */
export function fileOfItem(item: string): string | undefined {
  return item.startsWith(FILE) ? item.slice(FILE.length) : undefined
}

/** The item with another path. */
export const fileItem = (path: string): string => `${FILE}${path}`

/** What the items of a list come to; `found` gets the index of an item, and what is wrong with its file. */
export function readSourceList(
  items: readonly string[],
  found: (index: number, problem: string) => void,
): AddressRanges {
  const builder = new RangesBuilder()
  for (const [index, item] of items.entries()) {
    const path = fileOfItem(item)
    if (path === undefined) builder.add(item)
    else for (const problem of readListFile(path, builder)) found(index, problem)
  }
  return builder.build()
}

/** A network or an address on each line; what follows # is a comment. */
function readListFile(path: string, into: RangesBuilder): readonly string[] {
  let text: string
  try {
    const found = statSync(path)
    if (!found.isFile()) return [`${path} is no file`]
    if (found.size > MAX_FILE_BYTES) return [`${path} has ${found.size} bytes; a list has at most 128 MiB`]
    text = readFileSync(path, 'latin1')
  } catch (fault) {
    return [`${path} cannot be read: ${(fault as Error).message}`]
  }
  const problems: string[] = []
  let bad = 0
  let line = 0
  for (let from = 0; from < text.length; line++) {
    const end = text.indexOf('\n', from)
    const written = text.slice(from, end < 0 ? text.length : end)
    from = end < 0 ? text.length : end + 1
    const hash = written.indexOf('#')
    const network = (hash < 0 ? written : written.slice(0, hash)).trim()
    if (network === '') continue
    const problem = problemOf(network)
    if (problem === undefined) into.add(network)
    else if (++bad <= MAX_PROBLEMS) problems.push(`${path}:${line + 1}: ${problem}`)
  }
  if (bad > MAX_PROBLEMS) problems.push(`${path}: ${bad - MAX_PROBLEMS} more lines are no networks`)
  return problems
}

/** Lists of others have plain addresses too. */
function problemOf(network: string): string | undefined {
  if (!network.includes('/') && !network.includes('%') && isIP(network) !== 0) return undefined
  const parsed = parseCidr(network)
  return parsed.ok ? undefined : parsed.problem
}
