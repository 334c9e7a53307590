interface Running<Target, Answer> {
  readonly target: Target;
  readonly answers: readonly Answer[];
  played: number;
  readonly ends: number;
}

/** Lists of answers, each for a target, that are played in order until they are used up. */
export class RunningAnswers<Target, Answer> {
  readonly #running = new Map<string, Running<Target, Answer>>();
  readonly #toKey: (target: Target) => string;

  /** Two targets with one key are the same. */
  constructor(toKey: (target: Target) => string) {
    this.#toKey = toKey;
  }

  /** Takes the place of an earlier list for the same target. The whole list is played `times` times, once unless told. */
  set(target: Target, answers: readonly Answer[], times: number | "forever" = 1): void {
    const ends = times === "forever" ? Infinity : answers.length * times;
    if (answers.length === 0 || ends <= 0) this.#running.delete(this.#toKey(target));
    else this.#running.set(this.#toKey(target), { target, answers, played: 0, ends });
  }

  /** Removes the lists whose target is covered. */
  clear(isCovered: (target: Target) => boolean): void {
    for (const [key, { target }] of this.#running) {
      if (isCovered(target)) this.#running.delete(key);
    }
  }

  /** The next answer for the first of these targets that has one; it is then used up. */
  take(targets: readonly Target[]): Answer | undefined {
    if (this.#running.size === 0) return undefined;
    for (const target of targets) {
      const key = this.#toKey(target);
      const running = this.#running.get(key);
      if (running === undefined) continue;
      const answer = running.answers[running.played % running.answers.length];
      running.played += 1;
      if (running.played >= running.ends) this.#running.delete(key);
      return answer;
    }
    return undefined;
  }
}
