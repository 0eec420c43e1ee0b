import { isAbsolute, resolve } from 'node:path'
import { askModuleThread, type ModuleFindings } from './ask-module-thread.js'
import type { Path } from './problems.js'
import { didYouMean } from './suggest.js'
import { type Entry, entries, type Fields, isFields, type Report, text } from './tree.js'

/** What a plug-in's module says of itself, by its place in the file. */
export type InspectedPlugin = Omit<ModuleFindings, 'issues' | 'problem'>

interface WrittenPlugin {
  readonly path: Path
  readonly modulePath: Path
  readonly module: string
  readonly fields: Fields
}

/**
 * Imports the modules of all plug-ins, has them check their options, and reports what is wrong with any. What of the list is
 * no plug-in is passed over: the schema complains about it.
 */
export function inspectPlugins(tree: unknown, directory: string, report: Report): readonly InspectedPlugin[] {
  const written = pluginsOf(tree)
  if (written.length === 0) return []
  const plugins = written.map(({ module, fields }) => ({
    module: isAbsolute(module) ? module : resolve(directory, module),
    options: fields.options,
  }))
  const answer = askModuleThread({ type: 'plugins', plugins })
  if (answer.type !== 'plugins') {
    const why = answer.type === 'failed' ? answer.message : 'it said something else'
    report(['plugins'], `a module cannot be imported: ${why}`)
    return []
  }
  for (const [index, found] of answer.plugins.entries()) {
    const { path, modulePath, fields } = written[index]!
    if (found.problem !== undefined) report(modulePath, found.problem)
    for (const issue of found.issues) {
      const isWhole = issue.path.length === 0 && fields.options === undefined
      report(isWhole ? modulePath : [...path, 'options', ...issue.path], issue.message)
    }
    const { sha256 } = fields
    if (typeof sha256 === 'string' && found.sha256 !== undefined && sha256 !== found.sha256) {
      report([...path, 'sha256'], `the module is another version: its digest is ${found.sha256}`)
    }
  }
  const nameAt = (index: number): string | undefined => text(written[index]!.fields.name) ?? answer.plugins[index]!.name
  const first = new Map<string, number>()
  for (const [index, { path, fields, modulePath }] of written.entries()) {
    const name = nameAt(index)
    if (name === undefined) continue
    const before = first.get(name)
    if (before === undefined) first.set(name, index)
    else {
      const at = fields.name === undefined ? modulePath : [...path, 'name']
      report(at, `"${name}" is already the name of ${written[before]!.path.join('.')}; give each its own by name`)
    }
  }
  checkNamed(
    tree,
    [...first.keys()],
    answer.plugins.some(({ problem }) => problem !== undefined),
    report,
  )
  return answer.plugins
}

function pluginsOf(tree: unknown): readonly WrittenPlugin[] {
  const list = isFields(tree) && Array.isArray(tree.plugins) ? (tree.plugins as readonly unknown[]) : []
  return list.flatMap((item, index): readonly WrittenPlugin[] => {
    const path = ['plugins', index]
    if (typeof item === 'string') return item === '' ? [] : [{ path, modulePath: path, module: item, fields: {} }]
    const module = isFields(item) ? text(item.module) : undefined
    if (!isFields(item) || module === undefined || module === '') return []
    return [{ path, modulePath: [...path, 'module'], module, fields: item }]
  })
}

/** Rules may name only what there is. `isPartial`: of some the name is not known, and then nothing can be said. */
function checkNamed(tree: unknown, names: readonly string[], isPartial: boolean, report: Report): void {
  const root = isFields(tree) ? tree : {}
  const sets = isFields(root.ruleSets) ? root.ruleSets : {}
  const rules = [
    ...entries(root, 'listeners').flatMap(({ fields, path }) => entries(fields, 'rules', path)),
    ...Object.keys(sets).flatMap((set) => entries(sets, set, ['ruleSets'])),
  ]
  for (const { fields, path } of rules) {
    if (!Array.isArray(fields.plugins)) continue
    for (const [index, name] of (fields.plugins as readonly unknown[]).entries()) {
      const at = [...path, 'plugins', index]
      if (typeof name !== 'string') continue
      if (fields.plugins.indexOf(name) < index) report(at, `"${name}" is in this list already`)
      else if (!isPartial && !names.includes(name)) report(at, `no plug-in is named "${name}"${hint(name, names)}`)
    }
  }
}

function hint(name: string, names: readonly string[]): string {
  return didYouMean(name, names) || (names.length === 0 ? '; there are none' : `; there are: ${names.join(', ')}`)
}

/** What needs no module to be known: groups that plug-ins name, and rules that name plug-ins where there are none. */
export function checkPlugins(root: Fields, groups: ReadonlyMap<string, Entry>, report: Report): void {
  for (const { fields, path } of entries(root, 'plugins')) {
    if (!Array.isArray(fields.targetGroups)) continue
    for (const [index, name] of (fields.targetGroups as readonly unknown[]).entries()) {
      if (typeof name !== 'string') continue
      const at = [...path, 'targetGroups', index]
      const group = groups.get(name)
      if (group === undefined) report(at, `no target group is named "${name}"${didYouMean(name, [...groups.keys()])}`)
      else if (group.fields.protocol === 'tcp' || group.fields.protocol === 'tls') {
        report(at, `the group "${name}" speaks ${group.fields.protocol}; a plug-in needs http, https, h2 or h2c`)
      }
    }
  }
  if (pluginsOf(root).length === 0) checkNamed(root, [], false, report)
}

/** Groups that plug-ins may send requests to. */
export function groupsOfPlugins(root: Fields): readonly string[] {
  return entries(root, 'plugins').flatMap(({ fields }) =>
    Array.isArray(fields.targetGroups) ? fields.targetGroups.filter((name) => typeof name === 'string') : [],
  )
}
