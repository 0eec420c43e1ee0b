import { type MessagePort, workerData } from 'node:worker_threads'
import type { ModuleAnswer, ModuleOrder } from './ask-module-thread.js'
import { readProgram } from './config-program.js'
import { checkOptions, importPlugin, ModuleError, within } from './plugin-module.js'

/** A thread that lives for one question: what modules say, whose code must not run in the thread that asks. */

const { order, flag, port } = workerData as {
  readonly order: ModuleOrder
  readonly flag: Int32Array
  readonly port: MessagePort
}

// Whatever a module leaves behind is not what was asked.
process.on('unhandledRejection', () => {})
process.on('uncaughtException', () => {})

// A module may end its thread while it is imported.
process.on('exit', tell)
const answer = await answerTo(order)
port.postMessage(answer)
process.exit(0)

/** Whoever asked waits for this. */
function tell(): void {
  Atomics.store(flag, 0, 1)
  Atomics.notify(flag, 0)
}

async function answerTo(asked: ModuleOrder): Promise<ModuleAnswer> {
  switch (asked.type) {
    case 'plugins': {
      const plugins = []
      for (const plugin of asked.plugins) plugins.push(await inspect(plugin))
      return { type: 'plugins', plugins }
    }
    case 'program':
      try {
        return { type: 'program', text: await within(readProgram(asked.file), 'it was not read') }
      } catch (fault) {
        return { type: 'failed', message: say(fault) }
      }
  }
}

async function inspect({ module, options }: { readonly module: string; readonly options: unknown }) {
  try {
    const { definition, sha256 } = await importPlugin(module)
    const { name, deadlineMs, failurePolicy } = definition
    const checked = await within(checkOptions(definition, options), 'its options were not checked')
    return {
      name,
      sha256,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(failurePolicy === undefined ? {} : { failurePolicy }),
      issues: 'issues' in checked ? checked.issues : [],
    }
  } catch (fault) {
    return { issues: [], problem: say(fault) }
  }
}

function say(fault: unknown): string {
  if (fault instanceof ModuleError) return fault.message
  return fault instanceof Error ? fault.message : String(fault)
}
