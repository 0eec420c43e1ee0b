// Builds test/grpc-go with Debian's Go and its package of grpc-go: the peer that test/integration/grpc-go.test.ts calls and
// is called by. Nothing is fetched. Prints the path of the program, or says on standard error why there is none.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GO_PACKAGES } from './install-tools.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const program = join(root, 'dist/test/grpc-go/peer')

// Unoptimised, the packages are compiled in two thirds of the time.
const quickly = ['google.golang.org/...', 'golang.org/x/...', 'github.com/...'].map((name) => `-gcflags=${name}=-N -l`)

const done = spawnSync('go', ['build', ...quickly, '-ldflags=-s -w', '-o', program, '.'], {
  cwd: join(root, 'test/grpc-go'),
  stdio: ['ignore', 2, 2],
  env: {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: GO_PACKAGES,
    GOPROXY: 'off',
    GOFLAGS: '',
    GOCACHE: join(root, 'node_modules/.cache/grpc-go'),
  },
})
if (done.error) console.error(`go: ${done.error.message}`)
if (done.status === 0) console.log(program)
process.exitCode = done.status ?? 1
