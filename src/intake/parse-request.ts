import { z } from "zod";
import { defaultMaxAgeMs } from "../domain/views/batch.ts";
import { toExcerpt } from "../domain/chat-id.ts";
import { parseInstanceId, type InstanceId } from "../domain/instance-id.ts";
import { hasAtMost, intakeBounds } from "../domain/intake-bounds.ts";
import type { IncomingContact } from "../domain/requests/incoming-contact.ts";
import { UserError } from "../lib/errors.ts";
import { mapInTurns } from "../lib/in-turns.ts";
import { parseContactId } from "./ids/contact-id.ts";

/** What a producer asks for in one job of the queue `avatar-requests`. */
export interface ContactRequest {
  readonly instanceId: InstanceId;
  readonly contacts: readonly IncomingContact[];
  /** By their index in the request: what they were is not repeated. */
  readonly rejected: readonly { readonly index: number; readonly reason: string }[];
  /** 0 interactive, 1 import, 2 resync. */
  readonly priority: number;
  readonly maxAgeMs: number;
  readonly label: string | undefined;
}

const boundedText = (characters: number) =>
  z
    .string()
    .refine((text) => hasAtMost(text, characters), { error: `expected up to ${characters} characters` });

const requestSchema = z.object({
  instanceId: z.union([z.string(), z.number()]),
  chatIds: z.array(z.string()).min(1).max(intakeBounds.items.job),
  priority: z.int().min(0).max(2).default(1),
  /** Seconds. */
  maxAge: z
    .number()
    .min(0)
    .max(intakeBounds.maxAgeMs / 1000)
    .optional(),
  /** One reference for all contacts, or one for each. */
  externalRef: z
    .union([boundedText(intakeBounds.externalRef), z.array(boundedText(intakeBounds.externalRef).nullable())])
    .optional(),
  label: boundedText(intakeBounds.label).optional(),
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
  const contacts: IncomingContact[] = [];
  const rejected: { index: number; reason: string }[] = [];
  await mapInTurns(chatIds, (text, index) => {
    const id = parseContactId(text, undefined);
    const ref = Array.isArray(externalRef) ? externalRef[index] : externalRef;
    if (id.ok) contacts.push({ position: index + 1, chatId: id.chatId, externalRef: ref || undefined });
    else rejected.push({ index, reason: maskDigits(id.reason) });
  });
  const maxAgeMs = maxAge === undefined ? defaultMaxAgeMs : maxAge * 1000;
  return { instanceId, contacts, rejected, priority, maxAgeMs, label };
}

/** Reasons quote what was sent, and a request's result is kept and told to all listeners of the queue. */
function maskDigits(text: string): string {
  let seen = 0;
  return text.replace(/\p{Nd}/gu, (digit) => ((seen += 1) > 3 ? "*" : digit));
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
