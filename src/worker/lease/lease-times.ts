/**
 * How long calls may leave after a renewal was sent, ms. Two renewals in a row may fail. The holder counts from before the
 * statement, by its own clock: no clock that is set can make it longer.
 */
export const leaseMs = 4_000;

export const renewEveryMs = 1_000;

/**
 * A lease that has not changed for so long is dead, ms: its holder may send no more, and what it has sent counts no more. Counted
 * from after the statement that saw it first, by the clock of the process that watches.
 */
export const deadAfterMs = leaseMs + 1_000 + 250 + 250;

export const watchEveryMs = 500;
