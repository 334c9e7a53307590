/** The process's monotonic clock, in ms. */
export interface Clock {
  now(): number;
}

/** What the database's clock says, learned from its answers: it read its clock before we got the answer. */
export interface DatabaseClock {
  /** A statement that was answered at `receivedAt`, by our clock, told the time. */
  observe(databaseMs: number, receivedAt: number): void;
  /** The database's clock at our `localMs`: not before this, unless it was set since. */
  atLeast(localMs: number): number;
}

export function createDatabaseClock(): DatabaseClock {
  /** The database's clock is ahead of ours by so much at least. */
  let least = 0;
  return {
    observe(databaseMs, receivedAt) {
      least = databaseMs - receivedAt;
    },
    atLeast: (localMs) => localMs + least,
  };
}
