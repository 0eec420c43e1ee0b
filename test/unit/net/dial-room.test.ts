import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { DialRoom, type WaitingDial } from '../../../src/net/dial-room.js'

/** A room with so many sockets, of which idle connections hold some. */
function roomOf(max: number, idle: number) {
  const room = new DialRoom(new ManualClock())
  const budget = {
    used: idle,
    get free() {
      return max - this.used
    },
    use(change: number) {
      this.used += change
    },
    wait() {},
  }
  let left = idle
  room.budget = budget
  room.onCrowded = () => {
    while (left > 0) {
      left--
      room.giveBack()
    }
  }
  return { room, budget }
}

t.test('idle connections are given up for a dial at once where no socket is left', async (t) => {
  const { room, budget } = roomOf(4, 4)
  t.ok(room.tryTake(undefined), 'without a wait for the next tick')
  t.equal(budget.used, 1)
  for (let n = 0; n < 3; n++) t.ok(room.tryTake(undefined))
  t.notOk(room.tryTake(undefined), 'there is nothing more to give up')
})

t.test('while sockets are left no idle connection is given up', async (t) => {
  const { room, budget } = roomOf(4, 3)
  t.ok(room.tryTake(undefined))
  t.equal(budget.used, 4)
})

t.test('a dial for which the system itself had no socket has those of idle connections', async (t) => {
  const { room, budget } = roomOf(100, 3)
  const begun = new Promise<void>((resolve) => {
    const dial: WaitingDial = {
      share: undefined,
      abandoned: false,
      tryBegin() {
        resolve()
        return true
      },
      giveUp() {},
      abort() {},
    }
    room.wait(dial, 'EADDRNOTAVAIL')
  })
  t.equal(budget.used, 0, 'which are closed at once, though the budget has room')
  await begun
  t.equal(budget.used, 1)
})
