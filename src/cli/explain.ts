import type { Command } from 'commander'
import { z } from 'zod'
import { loadConfig } from '../config/load.js'
import { compareExplanations, explain, worldOfFile } from '../control/explain.js'
import type { ExplainQuestion, Explanation, Unexplained } from '../core/explanation.js'
import { type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption, environmentOf } from './env-file.js'
import { EXIT } from './exit-code.js'
import { paletteFor, table } from './table.js'

interface Options extends AdminClientOptions {
  readonly header?: string[]
  readonly from: string
  readonly listener?: string
  readonly json?: boolean
  readonly againstRunning?: boolean
}

export function addExplain(program: Command): void {
  program
    .command('explain')
    .summary('which listener, rule, group and target would serve a request')
    .description('Tells what would become of a request, and why not something else. Nothing is sent to anybody.')
    .argument('<method>', 'such as GET')
    .argument('<url>', 'such as http://shop.example:8080/a?b=c')
    .option(
      '-H, --header <line>',
      'a header of the request, as name: value (repeatable)',
      (line: string, all: string[] = []) => [...all, line],
    )
    .option('--from <ip>', 'the client’s address', '127.0.0.1')
    .option('--listener <name>', 'the listener, where scheme and port of the URL do not say it')
    .option('-c, --config <file>', 'explain this file, which need not be running')
    .option('--against-running', 'with -c: what would change for the request, against the running process')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Exits 0 when it could be told, also where the answer would be an error; else 1.

Examples:
  castor explain GET http://shop.example:8080/a -H 'x-beta: 1' --from 192.0.2.7
  castor explain GET https://shop.example/ -c new.yaml --against-running`,
    )
    .action(async (method: string, url: string, options: Options) => {
      process.exitCode = EXIT.failed
      const { from, listener, header: headers = [] } = options
      const question = { method, url, headers, from, listener }
      const running =
        options.config === undefined || options.againstRunning === true
          ? await askRunning(question, options)
          : undefined
      const file = options.config === undefined ? undefined : ofFile(question, options.config, options)
      const shown = file ?? running!
      for (const each of [running, file]) {
        if (each === undefined || !('code' in each)) continue
        process.stderr.write(`${each.message}\n`)
        return
      }
      const differences = running && file ? compareExplanations(running as Explanation, file as Explanation) : undefined
      if (options.json) process.stdout.write(`${JSON.stringify(differences ? { ...shown, differences } : shown)}\n`)
      else process.stdout.write(`${textOf(shown as Explanation, differences)}\n`)
      process.exitCode = EXIT.ok
    })
}

function ofFile(question: ExplainQuestion, file: string, options: Options): Explanation | Unexplained {
  return explain(question, worldOfFile(loadConfig(file, { readCertificates: false, env: environmentOf(options) })))
}

const answered = z.union([
  z.object({ error: z.object({ message: z.string() }) }),
  z.looseObject({ listener: z.string(), considered: z.array(z.unknown()), groups: z.array(z.unknown()) }),
])

async function askRunning(
  { method, url, headers, from, listener }: ExplainQuestion,
  options: Options,
): Promise<Explanation | Unexplained> {
  const query = new URLSearchParams({ method, url, from, ...(listener === undefined ? {} : { listener }) })
  for (const header of headers) query.append('header', header)
  const door = adminDoor(options)
  const { code, text } = await askAdmin(door, 'GET', `/api/v1/explain?${query}`)
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {}
  const answer = answered.safeParse(said).data
  if (answer === undefined)
    return { code: 'BAD_REQUEST', message: `${door.name} answers ${code}, but not as a castor that explains does` }
  if ('error' in answer) return { code: 'BAD_REQUEST', message: (answer.error as { message: string }).message }
  return answer as unknown as Explanation
}

/** What the rule does beside choosing where the request goes, and what limits it. */
function detailsOf({ split, edits, mirror }: Explanation): readonly string[] {
  const lines: string[] = []
  if (split !== null)
    lines.push(
      `split     by cookie ${split.cookie}, which ${split.group === null ? 'names no group' : `names ${split.group}`}`,
    )
  if (edits !== null) {
    if (edits.refused !== null) lines.push(`refused   ${edits.refused}, for what its variables make`)
    if (edits.rewritten?.target) lines.push(`rewritten ${edits.rewritten.target}`)
    if (edits.rewritten?.host) lines.push(`host      ${edits.rewritten.host}`)
    for (const [side, headers] of [
      ['request', edits.request],
      ['response', edits.response],
    ] as const) {
      if (headers === null) continue
      for (const name of headers.removed) lines.push(`${side.padEnd(10)}- ${name}`)
      for (const line of headers.written) lines.push(`${side.padEnd(10)}+ ${line}`)
    }
  }
  if (mirror !== null) {
    lines.push(`mirror    ${mirror.targetGroup}, ${mirror.percent} %, bodies up to ${mirror.maxBodyBytes} B`)
  }
  return lines
}

/** For a person, from the listener down to the target. */
export function textOf(explained: Explanation, differences: readonly string[] | undefined): string {
  const palette = paletteFor(process.stdout)
  const { listener, from, considered, rule, plugins, outcome, status, location, groups, limits } = explained
  const lines = [`listener  ${listener}`, `from      ${from}`]
  const rows = considered.flatMap(({ host, path, addsSlash, rules, more }) => [
    ...rules.map(({ name, failed }) => [
      host || 'any host',
      path || 'any path',
      name,
      failed !== null
        ? `no: ${failed}`
        : name === rule
          ? 'taken'
          : addsSlash
            ? 'adds the slash'
            : 'fits, behind another',
    ]),
    ...(more > 0 ? [[host || 'any host', path || 'any path', `and ${more} more`, '']] : []),
  ])
  if (rows.length > 0) {
    lines.push(
      '',
      table([{ title: 'HOST' }, { title: 'PATH' }, { title: 'RULE' }, { title: 'MATCHES' }], rows, palette),
      '',
    )
  }
  lines.push(`rule      ${rule ?? 'none'}`)
  if (plugins.length > 0)
    lines.push(`plug-ins  ${plugins.join(', ')} (asked in this order; any may answer or choose another group)`)
  if (outcome !== 'forward') lines.push(`answer    ${status}${location === null ? '' : ` to ${location}`}`)
  lines.push(...detailsOf(explained))
  for (const group of groups) {
    const limit = group.maxConnectionsPerTarget === null ? '' : `, at most ${group.maxConnectionsPerTarget} a target`
    lines.push(
      `group     ${group.name}${group.weight === null ? '' : `, weight ${group.weight}`} (${group.algorithm}${limit})`,
    )
    lines.push(`sticky    ${group.stickiness}`)
    lines.push(`target    ${group.picked.join(', ') || 'none'} (${group.why})`)
    const responseMs = limits.responseTimeoutMs ?? group.responseTimeoutMs
    const queue = group.queueSize > 0 ? `, ${group.queueSize} may wait` : ''
    lines.push(
      `within    ${group.connectTimeoutMs} ms to connect, ${responseMs} ms to answer, ${group.retries} more attempts${queue}`,
      '',
    )
    const targets = group.targets.map((each) => [
      each.id,
      String(each.weight),
      each.state,
      each.health,
      String(each.inFlight),
      each.whyNot ?? 'may get it',
    ])
    const columns = ['TARGET', 'WEIGHT', 'STATE', 'HEALTH', 'IN FLIGHT', 'WHY NOT'].map((title) => ({ title }))
    lines.push(table(columns, targets, palette), '')
  }
  const rate = limits.bodyMinRateBytesPerSecond
  lines.push(
    `limits    head ${limits.maxHeaderBytes} B and ${limits.maxHeaders} fields within ${limits.headerTimeoutMs} ms, body at least ${rate} B/s`,
  )
  if (differences !== undefined)
    lines.push('', ...(differences.length === 0 ? ['nothing changes for this request'] : differences))
  return lines.join('\n').trimEnd()
}
