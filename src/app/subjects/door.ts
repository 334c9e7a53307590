import type { Config } from "../../config.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { FairLimit } from "../../lib/fair-limit.ts";
import type { SecretBox } from "../../lib/secrets/secret-box.ts";
import type { Queues } from "../../queue/queues.ts";
import type { Database } from "../../store/postgres/database.ts";

/** The ground of the objects in this folder. Each front door, the command line and the API, has its own. */
export interface Door {
  readonly config: Config;
  /** The connections for work that a caller waits for. */
  readonly quick: Database;
  /**
   * The connections for work that takes its time: streams, downloads, plans, passes through a batch or an instance. Both may
   * be the same.
   */
  readonly lasting: Database;
  /** Bounds the writes to contacts by `quick`, for each instance. */
  readonly writes: FairLimit;
  /** Bounds the passes through a batch by `lasting`, for each instance. */
  readonly passes: FairLimit;
  /**
   * Tells running workers that the instance may be worked on; the sweep finds what it misses. Callers await it: how long is
   * the door's to say. Never rejects.
   */
  readonly wake: (id: InstanceId) => Promise<void>;
  readonly getQueues: () => Promise<Queues>;
  /** @throws UserError `no-secret-key` where there is none */
  readonly secrets: () => SecretBox;
  /** The key that secrets are sealed with: 32 bytes. @throws UserError `no-secret-key` */
  readonly secretKey: () => Uint8Array;
  readonly events: {
    /** A failure behind the back of its caller. */
    ledgerFailed(fields: { readonly where: string }, error: unknown): void;
  };
}
