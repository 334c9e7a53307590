import { parseRequest } from "../intake/parse-request.ts";
import type { Base } from "./base.ts";
import type { Queues } from "../queue/queues.ts";
import type { RequestResult } from "../queue/request-consumer.ts";
import { acceptWhole } from "../store/accept/accept-chunk.ts";

/** Writes a request that came through the queue to the ledger. @throws UserError when it is the request's fault */
export async function acceptRequest(
  { database }: Base,
  queues: Queues,
  data: unknown,
): Promise<RequestResult> {
  const { contacts, rejected, ...batch } = await parseRequest(data);
  const { batchId, accepted } = await acceptWhole(
    database.pool,
    { ...batch, source: "bullmq" },
    contacts,
    rejected.length,
  );
  await queues.wakeInstances([batch.instanceId]);
  return { batchId, accepted, duplicates: contacts.length - accepted, rejected };
}
