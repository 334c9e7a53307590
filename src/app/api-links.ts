import type { InstanceId } from "../domain/instance-id.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import type { Queues } from "../queue/queues.ts";

/** What the API has of the rest of the process. */
export interface ApiLinks {
  /** Never awaited: the contacts are in Postgres. */
  readonly wake: (id: InstanceId) => void;
  readonly getQueues: () => Promise<Queues>;
  readonly metrics: Metrics;
}
