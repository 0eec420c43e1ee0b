import { z } from 'zod'
import { TOLERANCES } from '../core/tolerances.js'

export const tolerate = z
  .array(z.enum(TOLERANCES))
  .prefault([])
  .describe(
    'Faults in the response heads of http and https targets that are let pass, in traffic and checks. Default none: such an answer is 502. bare-lf: lines that end with LF alone; then an application that lets a line feed into a header lets clients split its answers. short-status-line: no space behind the status code; harmless.',
  )
