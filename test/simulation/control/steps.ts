/** What happens, as often as the number says among all. */
const SHARES = {
  deliver: 40,
  connect: 30,
  takeIn: 25,
  begin: 40,
  end: 25,
  look: 10,
  pass: 10,
  tick: 6,
  answer: 16,
  edit: 8,
  copy: 2,
  reload: 7,
  check: 8,
  sicken: 2,
  state: 5,
  weight: 3,
  remove: 2,
  add: 3,
  readdress: 2,
  kill: 2,
  restart: 14,
  crash: 0.3,
  stepClock: 2,
  refuse: 1,
  spoil: 1,
  turn: 30,
  carry: 40,
  hear: 15,
  dial: 6,
  cut: 1.5,
  failOver: 0.3,
  loseStore: 0.3,
  rotate: 0.5,
  quieten: 0.6,
} as const

type StepKind = keyof typeof SHARES

/** Something that happens on one of the hosts; what exactly, and to whom, is chosen by the numbers among what is there by then. */
export interface Step {
  readonly kind: StepKind
  readonly host: number
  readonly which: number
  readonly how: number
}

/** A course goes through moods of so many steps: in each some things happen more often than usual, others hardly ever. */
const MOOD_STEPS = 300
const MOODS = [0.1, 0.5, 1, 1, 3]

export function randomSteps(random: () => number, count: number): readonly Step[] {
  let kinds: readonly StepKind[] = []
  return Array.from({ length: count }, (_, index) => {
    if (index % MOOD_STEPS === 0) kinds = mood(random)
    return {
      kind: kinds[Math.floor(random() * kinds.length)]!,
      host: Math.floor(random() * 2),
      which: Math.floor(random() * 1_000),
      how: Math.floor(random() * 1_000),
    }
  })
}

/** Each kind as often as it comes, in tenths of its share. */
function mood(random: () => number): readonly StepKind[] {
  return Object.entries(SHARES).flatMap(([kind, share]) => {
    const often = MOODS[Math.floor(random() * MOODS.length)]!
    return new Array<StepKind>(Math.ceil(share * often * 10)).fill(kind as StepKind)
  })
}
