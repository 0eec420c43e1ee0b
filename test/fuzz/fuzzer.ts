import { seededRandom } from '../random.js'
import { readAsCastor } from './castor-reading.js'
import { Generator } from './generator.js'
import { checkFrames, randomFrames } from './h2-frames.js'
import { MemoryCastor } from './memory-castor.js'
import type { NeighbourName } from './neighbours.js'
import { RealRequests } from './real-requests.js'
import { RealResponses } from './real-responses.js'
import { checkRequests } from './request-oracle.js'
import { checkResponse, type ResponseInput } from './response-oracle.js'
import type { Finding, FuzzSubject } from './subject.js'

/** Inputs of each kind in one round; the shares are about what each kind takes of the time. */
const ROUND = { requests: 240, responses: 160, frames: 400, realRequests: 48, realResponses: 16 }
/** Inputs on their way through servers at once. */
const ABREAST = 12
/** Small buffers, so that every writer has to wait for its reader now and then. */
const TIGHT_BYTES = 64
const MOST_FINDINGS = 20
const NEIGHBOURS: readonly NeighbourName[] = ['nginx', 'haproxy']

/** Against all neighbours that are installed. */
export async function startHttp(random: () => number): Promise<FuzzSubject> {
  return Fuzzer.start(random, NEIGHBOURS)
}

/** Makes inputs and shows them to everybody who must agree about them. */
export class Fuzzer implements FuzzSubject {
  readonly name = 'http'
  readonly counts = { requests: 0, responses: 0, frames: 0, realRequests: 0, realResponses: 0, accepted: 0, found: 0 }
  readonly #random: () => number
  readonly #generator: Generator
  readonly #castors = [new MemoryCastor(), new MemoryCastor({ capacityBytes: TIGHT_BYTES })] as const
  readonly #realRequests: RealRequests
  readonly #realResponses: RealResponses
  #show: (finding: Finding) => void = () => {}

  private constructor(random: () => number, realRequests: RealRequests, realResponses: RealResponses) {
    this.#random = random
    this.#generator = new Generator(random)
    this.#realRequests = realRequests
    this.#realResponses = realResponses
  }

  static async start(random: () => number, neighbours: readonly NeighbourName[]): Promise<Fuzzer> {
    return new Fuzzer(random, await RealRequests.start(neighbours), await RealResponses.start())
  }

  get neighbours(): readonly NeighbourName[] {
    return this.#realRequests.neighbours
  }

  /** Answers how many findings there were; `show` gets each as it is made. */
  async run(forMs: number, show: (finding: Finding) => void): Promise<number> {
    const endMs = performance.now() + forMs
    while (performance.now() < endMs && this.counts.found < MOST_FINDINGS) await this.round(show)
    return this.counts.found
  }

  async round(report: (finding: Finding) => void): Promise<number> {
    this.#show = report
    for (let i = 0; i < ROUND.requests; i++) this.#request()
    for (let i = 0; i < ROUND.responses; i++) this.#response()
    for (let i = 0; i < ROUND.frames; i++) this.#frames()
    await abreast(ROUND.realRequests, () => this.#realRequest())
    await abreast(ROUND.realResponses, () => this.#realResponse())
    return Object.values(ROUND).reduce((sum, count) => sum + count)
  }

  remarks(): string {
    const { requests, responses, frames, realRequests, realResponses, accepted } = this.counts
    const share = Math.round((accepted / Math.max(1, requests)) * 100)
    return (
      `${requests} requests in memory, ${share} % accepted; ${responses} responses in memory; ${frames} HTTP/2 frames; ` +
      `${realRequests} requests through servers, ${realResponses} responses to clients; ` +
      `against ${['llhttp', 'node:http', 'undici', ...this.neighbours].join(', ')}`
    )
  }

  async stop(): Promise<void> {
    await this.#realRequests.stop()
    await this.#realResponses.stop()
  }

  #request(): void {
    const input = this.#generator.requests()
    const cuts = this.#generator.cuts(input.length)
    const castor = this.#generator.pick(this.#castors)
    this.counts.requests++
    if (readAsCastor(input).accepted.length > 0) this.counts.accepted++
    const faultsOf = (bytes: Buffer): string[] => attempt(() => checkRequests(castor, bytes, cuts))
    this.#report('request', input, `cut at ${cuts.join(', ')}`, faultsOf)
  }

  #response(): void {
    const bytes = this.#generator.response()
    const castor = this.#generator.pick(this.#castors)
    const rest: Omit<ResponseInput, 'bytes'> = {
      cuts: this.#generator.cuts(bytes.length),
      method: this.#generator.pick(['GET', 'GET', 'HEAD', 'POST'] as const),
      minor: this.#generator.pick([1, 1, 0] as const),
      closes: this.#generator.chance(0.5),
    }
    this.counts.responses++
    const faultsOf = (input: Buffer): string[] => attempt(() => checkResponse(castor, { ...rest, bytes: input }))
    const detail = `to ${rest.method} 1.${rest.minor}, cut at ${rest.cuts.join(', ')}${rest.closes ? ', then close' : ''}`
    this.#report('response', bytes, detail, faultsOf)
  }

  #frames(): void {
    const role = this.#generator.pick(['server', 'server', 'client'] as const)
    const input = randomFrames(this.#random, role)
    const cuts = this.#generator.cuts(input.length)
    const seed = Math.floor(this.#random() * 2 ** 32)
    this.counts.frames++
    const faultsOf = (bytes: Buffer): string[] => attempt(() => checkFrames(bytes, role, cuts, seededRandom(seed)))
    this.#report('HTTP/2 frames', input, `to a ${role}, cut at ${cuts.join(', ')}`, faultsOf)
  }

  async #realRequest(): Promise<void> {
    const input = this.#generator.requests()
    this.counts.realRequests++
    const faults = await this.#realRequests.check(input)
    if (faults.length > 0) this.#found({ kind: 'request through servers', input, detail: '', faults })
  }

  async #realResponse(): Promise<void> {
    const input = this.#generator.response()
    const method = this.#generator.pick(['GET', 'GET', 'HEAD'] as const)
    this.counts.realResponses++
    const faults = await this.#realResponses.check(input, method)
    if (faults.length > 0) this.#found({ kind: 'response to clients', input, detail: method, faults })
  }

  /** Reports an input in memory, made as small as it goes, where it has faults. */
  #report(kind: Finding['kind'], input: Buffer, detail: string, faultsOf: (input: Buffer) => string[]): void {
    if (faultsOf(input).length === 0) return
    const smallest = shrink(input, (bytes) => faultsOf(bytes).length > 0)
    this.#found({ kind, input: smallest, detail, faults: faultsOf(smallest) })
  }

  #found(finding: Finding): void {
    this.counts.found++
    this.#show(finding)
  }
}

/** A fault in the balancer's own code is a finding too. */
function attempt(check: () => string[]): string[] {
  try {
    return check()
  } catch (fault) {
    return [fault instanceof Error ? String(fault.stack) : String(fault)]
  }
}

async function abreast(count: number, task: () => Promise<void>): Promise<void> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await task()
  }
  await Promise.all(Array.from({ length: ABREAST }, lane))
}

/** Leaves out ever smaller parts for as long as the fault stays. */
function shrink(input: Buffer, isFaulty: (bytes: Buffer) => boolean): Buffer {
  let smallest = input
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length; ) {
      const shorter = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)])
      if (isFaulty(shorter)) smallest = shorter
      else at += size
    }
  }
  return smallest
}
