import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { StateBefore } from "../../domain/views/instance-view.ts";
import type { Database } from "../postgres/database.ts";
import { probeNow } from "../work/holds.ts";
import { setPaused } from "./pause-instance.ts";

/**
 * Ends a pause or a wait that the provider asked for, or puts a hold to the test at once. Returns the state before;
 * undefined: there is no such instance.
 */
export async function resumeInstance(
  database: Database,
  id: InstanceId,
  by?: Actor,
): Promise<StateBefore | undefined> {
  const before = await setPaused(database, id, false, by);
  if (before === "held") await probeNow(database.pool, id);
  return before;
}
