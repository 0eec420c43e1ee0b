#!/usr/bin/env node
// As little as possible is imported before the first line runs: loading the program opens many files at once, and where
// that is not allowed a person should read why rather than a stack.

import { existsSync } from 'node:fs'

const TOO_MANY_FILES: Readonly<Record<string, string>> = { EMFILE: 'this process', ENFILE: 'the whole system' }

try {
  const isBundled = existsSync(new URL('./bundled/program.js', import.meta.url))
  const program = isBundled ? './bundled/program.js' : './cli/program.js'
  const { runCommand } = (await import(program)) as typeof import('./cli/program.js')
  await runCommand()
} catch (error) {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const whose = TOO_MANY_FILES[code]
  if (whose === undefined) throw error
  process.stderr.write(
    `castor cannot run: the open-file limit of ${whose} is reached (${code}); raise it: \`ulimit -n 1024\` in the shell, or \`LimitNOFILE=\` in the systemd unit\n`,
  )
  process.exit(1)
}
