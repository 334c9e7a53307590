import { z } from "zod";
import { defaultMaxAgeMs } from "../domain/batch.ts";
import { parseInstanceId, type InstanceId } from "../domain/instance-id.ts";
import { toExcerpt } from "../domain/chat-id.ts";
import { UserError } from "../lib/errors.ts";
import { mapInTurns } from "../lib/in-turns.ts";
import { parseContactId } from "./contact-id.ts";
import type { Contact } from "./intake-record.ts";

/** What a producer asks for in one job of the queue `avatar-requests`. */
export interface ContactRequest {
  readonly instanceId: InstanceId;
  readonly contacts: readonly Contact[];
  readonly rejected: readonly { readonly chatId: string; readonly reason: string }[];
  /** 0 interactive, 1 import, 2 resync. */
  readonly priority: number;
  readonly maxAgeMs: number;
  readonly label: string | undefined;
}

const maxChatIds = 100_000;
/** A century: what lies beyond is no moment for Postgres, and such a request would be put off for ever. */
const maxAgeSeconds = 100 * 366 * 24 * 3600;

const requestSchema = z.object({
  instanceId: z.union([z.string(), z.number()]),
  chatIds: z.array(z.string()).min(1).max(maxChatIds),
  priority: z.int().min(0).max(2).default(1),
  /** Seconds. */
  maxAge: z.number().min(0).max(maxAgeSeconds).optional(),
  /** One for all, or one for each. */
  externalRef: z.union([z.string().max(200), z.array(z.string().max(200).nullable())]).optional(),
  label: z.string().max(200).optional(),
});

/**
 * Reads a request that any BullMQ client may have queued: `{ instanceId, chatIds, priority?, maxAge? (seconds),
 * externalRef?, label? }`.
 * @throws UserError `invalid-request`: the first faults of its shape, and how many more there are
 */
export async function parseRequest(data: unknown): Promise<ContactRequest> {
  const parsed = requestSchema.safeParse(data);
  if (!parsed.success) throw toInvalidRequest(parsed.error.issues);
  const { chatIds, externalRef, maxAge, priority, label } = parsed.data;
  const instanceId = parseInstanceId(parsed.data.instanceId);
  if (instanceId === undefined) throw new UserError("invalid-request", "request: instanceId must be digits");
  if (Array.isArray(externalRef) && externalRef.length !== chatIds.length) {
    throw new UserError(
      "invalid-request",
      `request: externalRef has ${externalRef.length} elements, chatIds ${chatIds.length}`,
    );
  }
  const contacts: Contact[] = [];
  const rejected: { chatId: string; reason: string }[] = [];
  await mapInTurns(chatIds, (text, index) => {
    const id = parseContactId(text, undefined);
    const ref = Array.isArray(externalRef) ? externalRef[index] : externalRef;
    if (id.ok) contacts.push({ line: index + 1, chatId: id.chatId, externalRef: ref || undefined });
    else rejected.push({ chatId: toExcerpt(text, 60), reason: id.reason });
  });
  const maxAgeMs = maxAge === undefined ? defaultMaxAgeMs : maxAge * 1000;
  return { instanceId, contacts, rejected, priority, maxAgeMs, label };
}

const maxFaults = 10;
const maxFault = 200;

function toInvalidRequest(issues: readonly z.core.$ZodIssue[]): UserError {
  const faults = issues
    .slice(0, maxFaults)
    .map(({ path, message }) => toExcerpt(`${path.join(".") || "data"}: ${message}`, maxFault));
  const others = issues.length > faults.length ? `; and ${issues.length - faults.length} more` : "";
  return new UserError("invalid-request", `request: ${faults.join("; ")}${others}`);
}
