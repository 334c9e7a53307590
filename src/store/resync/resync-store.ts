import type { InstanceId } from "../../domain/instance-id.ts";
import type { RefreshFilter } from "../../domain/resync/manual-resync.ts";
import type { LatestRuns, ResyncNight, RunFilter, RunPage } from "../../domain/resync/resync-run.ts";
import type { Database } from "../postgres/database.ts";
import { findLatestNight, findLatestRuns, listResyncRuns } from "./list-resync-runs.ts";
import { countMatching } from "./open-manual-resync.ts";

/** Nights and runs as they are stored. */
export interface ResyncStore {
  /** The newest first. */
  listRuns(
    filter: RunFilter,
    page: { readonly after: number | undefined; readonly limit: number },
  ): Promise<RunPage>;
  /** Of all instances, or of one. */
  findLatestRuns(only?: InstanceId): Promise<Map<InstanceId, LatestRuns>>;
  findLatestNight(): Promise<ResyncNight | undefined>;
  /** How many contacts of the instance a filter means. */
  countMatching(instanceId: InstanceId, filter: RefreshFilter): Promise<number>;
}

export function createResyncStore({ pool }: Pick<Database, "pool">): ResyncStore {
  return {
    listRuns: (filter, page) => listResyncRuns(pool, filter, page),
    findLatestRuns: (only) => findLatestRuns(pool, only),
    findLatestNight: () => findLatestNight(pool),
    countMatching: (instanceId, filter) => countMatching(pool, instanceId, filter),
  };
}
