// The class that BullMQ's pool makes its connections of: the one thing of pg that this folder needs.
// oxlint-disable-next-line no-restricted-imports
import pg from "pg";

/**
 * A connection to Postgres whose loss is told by its next statement alone. BullMQ holds one without a listener while it opens a
 * queue: a loss then would end the process.
 */
export class GuardedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on("error", () => undefined);
  }
}
