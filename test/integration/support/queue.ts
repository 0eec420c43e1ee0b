import { startTestCastor, type Test, type TestCastor } from './castor.js'
import { HoldingTarget } from './holding-target.js'
import { get, RawClient, type RawResponse } from './raw-client.js'
import { eventually } from './waiting.js'

/** A queue in which nobody waits in vain. */
export const PATIENT = { size: 100, timeout: '10s' }

export interface Setting {
  readonly castor: TestCastor
  readonly targets: readonly HoldingTarget[]
}

/** A balancer with one worker before one target that answers when it is told to, unless `options` say otherwise. */
export async function startBefore(
  t: Test,
  group: object,
  options: { readonly targets?: number; readonly workers?: number; readonly accessLog?: boolean } = {},
): Promise<Setting> {
  const targets = await Promise.all(Array.from({ length: options.targets ?? 1 }, () => HoldingTarget.start(t)))
  const castor = await startTestCastor(
    t,
    targets.map(({ address }) => address),
    { workers: options.workers ?? 1, accessLog: options.accessLog === true, group },
  )
  return { castor, targets }
}

/** Resolves once so many wait in the group. */
export async function queued(castor: TestCastor, count: number): Promise<void> {
  const gauge = async (): Promise<number> =>
    (await castor.metrics()).get('castor_target_group_queued{target_group="app"}')!
  await eventually(`${count} queued`, async () => (await gauge()) === count)
}

/** A request whose answer may take its time. */
export interface Asked {
  readonly answer: Promise<RawResponse>
}

/** Sends a request on a connection of its own. */
export async function ask(castor: TestCastor, path: string, lines: readonly string[] = []): Promise<Asked> {
  const client = await RawClient.connect(castor.port)
  client.send(get(path, lines))
  return { answer: client.response('GET', 12_000).finally(() => client.close()) }
}

export const statusesOf = async (asked: readonly Asked[]): Promise<number[]> =>
  (await Promise.all(asked.map(({ answer }) => answer))).map(({ status }) => status)
export const all200 = (asked: readonly Asked[]): number[] => asked.map(() => 200)

/** How many were refused for that reason. */
export const refusals = async (castor: TestCastor, reason: string): Promise<number> =>
  (await castor.metrics()).get(`castor_server_errors_total{listener="web",reason="${reason}"}`) ?? 0
