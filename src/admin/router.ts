import { RegExpRouter } from 'hono/router/reg-exp-router'
import { suggest } from '../config/suggest.js'
import type { Method, Route } from './route.js'

/** What is served under a path, by method. */
export type Resource = ReadonlyMap<Method, Route>

export interface Found {
  readonly resource: Resource
  /** As they stand in the path. */
  readonly params: Readonly<Record<string, string>>
}

/** All methods of a path are one entry: whether it is open, and which methods it has, is known before the method is. */
export class AdminRouter {
  readonly #router = new RegExpRouter<Resource>()
  readonly #paths: readonly string[]

  constructor(routes: readonly Route[]) {
    const resources = new Map<string, Map<Method, Route>>()
    for (const each of routes) {
      const resource = resources.get(each.path) ?? new Map<Method, Route>()
      if (resource.has(each.method)) throw new TypeError(`${each.method} ${each.path} is there twice`)
      resources.set(each.path, resource.set(each.method, each))
    }
    for (const [path, resource] of resources) this.#router.add('ALL', path.replaceAll(/\{(\w+)\}/g, ':$1'), resource)
    this.#paths = [...resources.keys()]
  }

  /** `path` is not decoded: a slash within a name is written as %2F. */
  find(path: string): Found | undefined {
    const [[found], stash] = this.#router.match('ALL', path)
    if (found === undefined) return undefined
    const [resource, at] = found
    const params = Object.entries(at).map(([name, value]) => [name, typeof value === 'number' ? stash![value]! : value])
    return { resource, params: Object.fromEntries(params) }
  }

  /** The path that was probably meant. */
  nearest(path: string): string | undefined {
    const asked = path.split('/')
    const candidates = this.#paths.map((known) => {
      const steps = known.split('/')
      return steps.length !== asked.length
        ? known
        : steps.map((step, i) => (isParam(step) ? asked[i]! : step)).join('/')
    })
    const best = suggest(path, candidates)
    return best === undefined ? undefined : this.#paths[candidates.indexOf(best)]
  }
}

const isParam = (step: string): boolean => step.startsWith('{')

/** What `Allow` says. */
export function allowed(resource: Resource): string {
  const methods: string[] = [...resource.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  return [...methods, 'OPTIONS'].join(', ')
}
