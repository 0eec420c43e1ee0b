import type { FromMesh, MeshTask, ToMesh } from '../../src/core/messages.js'
import { scheduleNormally } from '../../src/native/scheduling.js'
import { guard } from '../../src/observe/guard.js'
import { createWorkerLogger } from '../../src/observe/log.js'
import { Heartbeats, meshRow } from '../../src/shm/heartbeats.js'
import { MeshThread } from './assemble.js'

const TURN_MS = 5
const STATUS_MS = 500

/** The mesh thread from beginning to end, as a task that Piscina runs once: resolves when told to stop. */
export default async function meshThread(task: MeshTask): Promise<void> {
  scheduleNormally()
  const stopBeating = new Heartbeats(task.counters.heartbeats).begin(meshRow(task.snapshot.config.workers))
  const post = (message: FromMesh): void => task.port.postMessage(message)
  const identity = { node: task.snapshot.config.node, thread: 'mesh' }
  const log = createWorkerLogger(task.snapshot.config.log, (line) => post({ type: 'log', line }), identity)
  const mesh = new MeshThread(task, log, post)
  const { replica } = mesh
  replica.start()
  const turning = setInterval(
    guard(log, 'the mesh', () => mesh.turn()),
    TURN_MS,
  )
  const reporting = setInterval(() => {
    const { peers, counts, forgedLately } = replica
    const { list, impostor, doubled } = peers
    const sharing = { impostor, doubled, forgedLately, evictionPolicy: mesh.evictionPolicy }
    mesh.said.sharing(sharing)
    post({ type: 'status', status: { ...mesh.link, ...sharing, peers: list, counts } })
  }, STATUS_MS)
  await new Promise<void>((resolve) => {
    task.port.on('message', (message: ToMesh) => {
      if (message.type === 'stop') resolve()
      else mesh.take(message)
    })
  })
  clearInterval(turning)
  clearInterval(reporting)
  mesh.turn()
  await replica.leave()
  stopBeating()
  task.port.close()
}
