import type { Command } from 'commander'
import { configJsonSchemaText } from '../config/json-schema.js'

export function addSchema(program: Command): void {
  program
    .command('schema')
    .summary('print the JSON Schema of the configuration file')
    .description('Prints the JSON Schema of the configuration file, for editors and other tools.')
    .addHelpText(
      'after',
      `
Example:
  castor schema > castor.schema.json
  and as first line of the configuration:
  # yaml-language-server: $schema=castor.schema.json`,
    )
    .action(() => {
      process.stdout.write(configJsonSchemaText())
    })
}
