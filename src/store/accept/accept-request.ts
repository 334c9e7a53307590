import { randomUUID } from "node:crypto";
import type pg from "pg";
import type {
  AcceptedBatch,
  AcceptedRequest,
  Asker,
  BatchRefusal,
  RequestedBatch,
} from "../../domain/requests/batch-request.ts";
import type { IncomingContact } from "../../domain/requests/incoming-contact.ts";
import type { AcceptedAs } from "../../domain/views/batch.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import { codeOf } from "../postgres/database.ts";
import { estimateWithin, type Estimate } from "../batches/estimate-within.ts";
import { findRecord, hasKey, saveRecord, tryLockKey, type StoredAnswer } from "./idempotency-records.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { openBatch } from "./open-batch.ts";
import { briefly, retryTransient } from "../postgres/retry-transient.ts";
import { acceptStaged, stageContacts } from "./stage-contacts.ts";
import { foreignKeyViolation } from "../postgres/sqlstate.ts";
import { TryAgainError } from "../postgres/try-again-error.ts";

/** A whole request, as it is to be taken in. */
interface WholeRequest {
  /** Made before the first try: where it is open whether a commit was done, it is not done twice. */
  readonly batchId: string;
  readonly estimate: Estimate;
  readonly asker: Asker & { readonly fingerprint: string };
  readonly batch: RequestedBatch;
  readonly contacts: readonly IncomingContact[];
  readonly rejected: number;
}

/** The outcome of earlier tries of the same request. */
interface Tries {
  /** The present one included. */
  readonly count: number;
  /** The answer to give if it turns out that an earlier try was committed. */
  readonly answer: AcceptedRequest | undefined;
}

/**
 * Takes a whole request in, in one transaction: batch, contacts, and the answer under its idempotency key. When it
 * resolves as `accepted` it is committed. A deadlock or a lost connection is tried again for two seconds.
 * @param asker.fingerprint tells this request and its body from all others
 * @returns how each of `contacts` was taken, in their order
 */
export async function acceptRequest(
  pool: pg.Pool,
  estimate: Estimate,
  asker: Asker & { readonly fingerprint: string },
  batch: RequestedBatch,
  contacts: readonly IncomingContact[],
  rejected: number,
): Promise<AcceptedRequest | BatchRefusal> {
  const request = { batchId: randomUUID(), estimate, asker, batch, contacts, rejected };
  let tries: Tries = { count: 0, answer: undefined };
  const attempt = async (client: pg.PoolClient) => {
    tries = { ...tries, count: tries.count + 1 };
    await waitBriefly(client);
    const answer = (await findAnswer(client, request, tries)) ?? (await accept(client, request, tries));
    // Before the commit, whose own answer may be lost.
    if (answer.kind === "accepted" && !answer.replayed) tries = { ...tries, answer };
    return answer;
  };
  try {
    return await retryTransient(briefly, async () => inTransaction(pool, attempt));
  } catch (error) {
    // The instance was removed after we had seen it.
    if (codeOf(error) === foreignKeyViolation) return { kind: "unknown-instance" };
    throw error;
  }
}

/** The answer that the idempotency key has led to already. Undefined: none yet, and its lock is ours. */
async function findAnswer(
  client: pg.PoolClient,
  { asker, batchId, contacts }: WholeRequest,
  tries: Tries,
): Promise<AcceptedRequest | BatchRefusal | undefined> {
  if (!hasKey(asker)) return undefined;
  if (!(await tryLockKey(client, asker))) {
    // The server may still work on an earlier try of ours.
    if (tries.count > 1) throw new TryAgainError("the idempotency key is locked");
    return { kind: "in-progress" };
  }
  const record = await findRecord(client, asker);
  if (record === undefined) return undefined;
  if (record.batchId === batchId && tries.answer) return tries.answer;
  return record.kind === "answered" && record.fingerprint === asker.fingerprint
    ? toReplay(record.batchId, record.answer, contacts.length)
    : { kind: "other-body" };
}

async function accept(
  client: pg.PoolClient,
  { batchId, estimate, asker, batch, contacts, rejected }: WholeRequest,
  tries: Tries,
): Promise<AcceptedRequest | BatchRefusal> {
  const opening = await openBatch(client, batchId, asker, batch, rejected);
  if (opening.kind === "exists" && tries.answer) return tries.answer;
  if (opening.kind !== "opened") return { kind: "unknown-instance" };
  const { requestedAt } = opening;
  const { accepted, acceptedAs } = await acceptContacts(client, batchId, contacts);
  const counts = { accepted, duplicates: contacts.length - accepted, rejected };
  const etaMs = await estimateWithin(client, estimate, batchId);
  if (hasKey(asker)) {
    const { fingerprint } = asker;
    const items = acceptedAs.map((as) => as.charAt(0)).join("");
    const answer = { requestedAt: requestedAt.toISOString(), ...counts, etaMs: etaMs ?? null, items };
    await saveRecord(client, asker, { kind: "answered", batchId, fingerprint, answer });
  }
  return {
    kind: "accepted",
    batch: { batchId, requestedAt, ...counts },
    etaMs,
    replayed: false,
    acceptedAs,
  };
}

async function acceptContacts(
  client: pg.PoolClient,
  batchId: string,
  contacts: readonly IncomingContact[],
): Promise<{ accepted: number; acceptedAs: AcceptedAs[] }> {
  if (contacts.length === 0) return { accepted: 0, acceptedAs: [] };
  await stageContacts(client, contacts);
  const accepted = await acceptStaged(client, batchId, null);
  const fresh = await findFreshPositions(client, batchId);
  const seen = new Set<string>();
  const acceptedAs = contacts.map(({ chatId, position }): AcceptedAs => {
    if (seen.has(chatId)) return "duplicate";
    seen.add(chatId);
    return fresh.has(position) ? "fresh" : "queued";
  });
  return { accepted, acceptedAs };
}

/**
 * Positions of the staged contacts that cost no call. Contacts that are not fresh are locked by this transaction, and stay so
 * until it commits.
 * @throws TryAgainError when one of them has been erased since it was accepted
 */
async function findFreshPositions(client: pg.PoolClient, batchId: string): Promise<Set<number>> {
  // Each is looked up by the index, whatever the statistics say.
  await client.query("set local enable_seqscan = off");
  const { rows } = await client.query<{ fresh: number[] | null; missing: number }>(
    `select array_agg(position::integer) filter (where is_fresh) as fresh,
       count(*) filter (where is_fresh is null)::integer as missing
     from (
       select s.position, (
         select avatars.is_fresh(c, b.fresh_after) from avatars.contacts c
         where c.instance_id = b.instance_id and c.chat_id = s.chat_id
       ) as is_fresh
       from pg_temp.staged_contacts s cross join avatars.batches b where b.id = $1
     ) looked`,
    [batchId],
  );
  if (rows[0]?.missing !== 0) throw new TryAgainError("a contact was erased while it was accepted");
  return new Set(rows[0].fresh);
}

const byLetter: Readonly<Record<string, AcceptedAs>> = { q: "queued", f: "fresh", d: "duplicate" };

function toReplay(batchId: string, answer: StoredAnswer, contacts: number): AcceptedRequest {
  const { items = "", etaMs } = answer;
  const acceptedAs = Array.from(
    { length: contacts },
    (_, index) => byLetter[items.charAt(index)] ?? "queued",
  );
  return { ...toTaken(batchId, answer), etaMs: etaMs ?? undefined, acceptedAs };
}

/** A stored answer, given again. */
export function toTaken(batchId: string, answer: StoredAnswer): AcceptedBatch {
  const { requestedAt, accepted, duplicates, rejected, etaMs } = answer;
  return {
    kind: "accepted",
    batch: { batchId, requestedAt: new Date(requestedAt), accepted, duplicates, rejected },
    etaMs: etaMs ?? undefined,
    replayed: true,
  };
}
