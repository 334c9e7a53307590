/** A server that has not answered a first connection within this time is away. */
export const connectDeadlineMs = 10_000;

/** For writing down the last results and closing connections: a server that hangs must not keep the process. */
export const closeDeadlineMs = 3_000;
