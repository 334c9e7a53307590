import type { BatchReport } from "../../domain/views/batch.ts";
import { contactStatuses } from "../../domain/contact-status.ts";

/** The same as long as there is nothing to tell of the batch: one short word, the id of its event. */
export function toBatchVersion({ finished, held, ...batch }: BatchReport): string {
  const { state, accepted, duplicates, rejected, pending, cancelled, erased } = batch;
  const counts = [accepted, duplicates, rejected, pending, cancelled, erased];
  const byStatus = contactStatuses.map((status) => finished[status]);
  return [state, held?.state ?? "", held?.reason ?? "", ...counts, ...byStatus].join(".");
}

/** There is nothing to come. */
export function isOver({ state }: BatchReport): boolean {
  return state === "done" || state === "cancelled";
}
