import type { BatchReport } from "../../domain/views/batch.ts";
import { contactStatuses } from "../../domain/contact-status.ts";

/** The version of a batch: one short word, the id of its event. It stays the same while there is nothing to tell. */
export function toBatchVersion({ finished, held, ...batch }: BatchReport): string {
  const { state, accepted, duplicates, rejected, pending, cancelled, erased } = batch;
  const counts = [accepted, duplicates, rejected, pending, cancelled, erased];
  const byStatus = contactStatuses.map((status) => finished[status]);
  return [state, held?.state ?? "", held?.reason ?? "", ...counts, ...byStatus].join(".");
}

/** True: nothing is to come. */
export function isOver({ state }: BatchReport): boolean {
  return state === "done" || state === "cancelled";
}
