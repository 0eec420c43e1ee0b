import { benchProgram } from './paths.js'
import { type Started, start } from './processes.js'
import type { Answer, Begun } from './serve-order.js'

/** A program that has answered its order and is still there. */
export interface Running<R> {
  readonly process: Started
  readonly answer: R
}

/** In the parent: starts a program, gives it its order, resolves with the answer; the program is still there then. */
export async function order<O extends object, R>(
  program: string,
  what: O,
  core: number,
  withinMs: number,
  onBegun: () => void = () => {},
): Promise<Running<R>> {
  const started = start({ command: process.execPath, args: [benchProgram(program)], core, channel: true })
  let timer: NodeJS.Timeout | undefined
  try {
    const answer = await new Promise<R>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${program} gave no answer in ${withinMs} ms`)), withinMs)
      started.child.on('message', (message) => {
        const reply = message as Answer<R> | Begun
        if ('begun' in reply) {
          onBegun()
          started.child.send('go')
        } else if ('error' in reply) reject(new Error(`${program}: ${reply.error}`))
        else resolve(reply.result)
      })
      void started.ended.then(() => reject(new Error(`${program} ended: ${started.complaint()}`)))
      started.child.send(what)
    })
    return { process: started, answer }
  } catch (error) {
    await started.stop()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** As `order`, for a program that is of no more use once it has answered. */
export async function orderOnce<O extends object, R>(
  program: string,
  what: O,
  core: number,
  withinMs: number,
  onBegun?: () => void,
): Promise<R> {
  const { process: started, answer } = await order<O, R>(program, what, core, withinMs, onBegun)
  await started.stop()
  return answer
}
