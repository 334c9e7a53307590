import type { Config } from "../../config.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { FairLimit } from "../../lib/fair-limit.ts";
import type { SecretBox } from "../../lib/secrets/secret-box.ts";
import type { Queues } from "../../queue/queues.ts";
import type { Database } from "../../store/postgres/database.ts";

/** What the objects of this folder stand on. Each front door, the command line and the API, has its own. */
export interface Door {
  readonly config: Config;
  /** For what a caller waits for. */
  readonly quick: Database;
  /** For what takes its time: streams, downloads, plans, what goes through a batch or an instance. It may be the same. */
  readonly lasting: Database;
  /** Bounds what writes to contacts by `quick`, for each instance. */
  readonly writes: FairLimit;
  /** Bounds what goes through a batch by `lasting`, for each instance. */
  readonly passes: FairLimit;
  /**
   * Tells running workers that the instance may be worked on; what it misses the sweep finds. It is awaited: how long is the
   * door's to say. Never rejects.
   */
  readonly wake: (id: InstanceId) => Promise<void>;
  readonly getQueues: () => Promise<Queues>;
  /** @throws UserError `no-secret-key` where there is none */
  readonly secrets: () => SecretBox;
  /** What the secrets are sealed with: 32 bytes. @throws UserError `no-secret-key` */
  readonly secretKey: () => Uint8Array;
  readonly events: {
    /** What fails behind the back of its caller. */
    ledgerFailed(fields: { readonly where: string }, error: unknown): void;
  };
}
