/** Numbers what threads are told of the configuration and of targets, in one sequence: who has one has all before it. */
export class Versions {
  #current = 1

  get current(): number {
    return this.#current
  }

  next(): number {
    return ++this.#current
  }
}
