/** The process's monotonic clock, in ms. */
export interface Clock {
  now(): number;
}

/**
 * How the database's clock relates to ours, learned from one statement: the database read its clock
 * somewhere between our sending the statement and our getting the answer.
 */
export interface ClockRelation {
  /** Our clock, at a moment when the database's has surely reached `databaseMs`. */
  surelyAfter(databaseMs: number): number;
  /** The database's clock at our `localMs`: not before this. */
  atLeast(localMs: number): number;
  /** The database's clock at our `localMs`: not after this. */
  atMost(localMs: number): number;
}

/** @param sentAt our clock when the statement was sent, @param receivedAt when its answer was there */
export function relateClocks(databaseNowMs: number, sentAt: number, receivedAt: number): ClockRelation {
  return {
    surelyAfter: (databaseMs) => receivedAt + (databaseMs - databaseNowMs),
    atLeast: (localMs) => databaseNowMs + (localMs - receivedAt),
    atMost: (localMs) => databaseNowMs + (localMs - sentAt),
  };
}
