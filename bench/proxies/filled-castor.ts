import { loadConfig, startCastor } from '../../src/index.js'
import { benchProgram } from '../paths.js'

// Castor through its library, its proxy thread in a wrapping that fills the table of sessions first.
try {
  await startCastor(loadConfig(process.argv[2]!), { workerFile: benchProgram('proxies/filling-worker') })
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
