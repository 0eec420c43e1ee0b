import { z } from 'zod'
import { duration, mustBe, name, show, wholeNumber } from './fields.js'

const SECOND = 1_000
const MOST_DEADLINE_MS = 600 * SECOND
const MOST_PLUGINS = 32

const module = z
  .string()
  .min(1, mustBe('the path of a module, like ./auth.js'))
  .describe(
    'Path of the module whose default export is the plug-in, from the directory of this file: JavaScript, or TypeScript where this Node reads it (22.18 and later).',
  )

const plugin = z
  .strictObject({
    module,
    name: name()
      .optional()
      .describe('Name of the plug-in in rules, logs and metrics, unique. Default: the one that the module has.'),
    options: z
      .unknown()
      .optional()
      .describe('What the plug-in is told, checked by its own schema. Masked wherever the configuration is shown.'),
    deadline: duration(1, MOST_DEADLINE_MS)
      .optional()
      .describe(
        'How long a promise of the plug-in may take at each of its phases. Duration, 1ms to 10m. Default: what the module says, else 1s. Higher keeps clients waiting for what hangs; lower fails what is merely slow.',
      ),
    deadlineMs: wholeNumber(1, MOST_DEADLINE_MS)
      .optional()
      .describe('The same as deadline, as a number of milliseconds, as modules write it. One of the two.'),
    failurePolicy: z
      .enum(['closed', 'open'])
      .optional()
      .describe(
        'What becomes of a request when the plug-in throws, returns what it may not, or is late: closed answers 500, open goes on without it. Default: what the module says, else closed. open lets requests past a check that fails.',
      ),
    targetGroups: z
      .array(name())
      .optional()
      .describe('Groups that the plug-in may choose beside those that the listener’s targetGroup and rules name.'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, mustBe('64 hexadecimal digits in lower case'))
      .optional()
      .describe('Digest of the module’s file. Where it is given no other version is run. Default: any version.'),
  })
  .superRefine(({ deadline, deadlineMs }, context) => {
    if (deadline === undefined || deadlineMs === undefined) return
    context.addIssue({ code: 'custom', message: 'says the same as deadline; leave one out', path: ['deadlineMs'] })
  })
  .describe('Code of your own that is asked about requests.')

export const plugins = z
  .array(
    z.union([module.transform((path) => ({ module: path })), plugin], {
      error: ({ input }) => `must be the path of a module, or { module, name, options, … }, not ${show(input)}`,
    }),
  )
  .max(MOST_PLUGINS)
  .prefault([])
  .describe(
    'Plug-ins, in the order in which they are asked: paths of modules, or maps of module, name, options and more. One that no rule names is asked for every request of http and https listeners, except those with redirectToHttps. They run in the proxy threads with all rights of Castor. Default: none.',
  )

export type PluginFile = z.output<typeof plugin>
