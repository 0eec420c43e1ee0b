// Runs on a host of its own: the targets, one port each; every answer is the port.
import { createServer } from 'node:http'

for (const port of process.argv.slice(2)) {
  createServer((_, response) => response.end(port)).listen(Number(port), '0.0.0.0')
}
process.stdout.write('listening\n')
