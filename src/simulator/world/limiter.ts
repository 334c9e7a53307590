const windowMs = 1000;
const compactAfter = 1024;

/** Counts the moments within the last second, half open: a moment exactly 1000 ms ago is outside. */
class SlidingSecond {
  #moments: number[] = [];
  #first = 0;

  /** How many moments lie in (nowMs − 1000, nowMs]. Moments come in ascending order. */
  countAt(nowMs: number): number {
    while (this.#first < this.#moments.length && nowMs - (this.#moments[this.#first] ?? 0) >= windowMs) {
      this.#first += 1;
    }
    if (this.#first > compactAfter) {
      this.#moments = this.#moments.slice(this.#first);
      this.#first = 0;
    }
    return this.#moments.length - this.#first;
  }

  add(nowMs: number): void {
    this.#moments.push(nowMs);
  }
}

/**
 * The strictest reading of "10 per second". A call is refused when `rate` calls were accepted within the 1000 ms before it,
 * whatever the phase. A refused call does not count, so that a client that keeps knocking is still served at the rate. What a
 * call is answered afterwards makes no difference: a call with a wrong token has used its place.
 */
export class Limiter {
  readonly #accepted = new SlidingSecond();
  readonly #arrived = new SlidingSecond();
  /** Calls that arrived, refused ones included. */
  calls = 0;
  refused = 0;
  /** The most calls that arrived within any one second, refused ones included. */
  maxInAnySecond = 0;

  /** Whether the call that arrives at `nowMs` (monotonic) is accepted at `rate` calls a second. */
  take(nowMs: number, rate: number): boolean {
    this.#arrived.add(nowMs);
    this.calls += 1;
    this.maxInAnySecond = Math.max(this.maxInAnySecond, this.#arrived.countAt(nowMs));
    if (this.#accepted.countAt(nowMs) >= rate) {
      this.refused += 1;
      return false;
    }
    this.#accepted.add(nowMs);
    return true;
  }

  /** Starts the counts anew. The windows stay: the limit holds as before. */
  clearCounts(): void {
    this.calls = 0;
    this.refused = 0;
    this.maxInAnySecond = 0;
  }
}
