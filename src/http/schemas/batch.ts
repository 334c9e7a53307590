import { z } from "zod";
import {
  batchStates,
  itemStatuses,
  type BatchItem,
  type BatchReport,
  type BatchSummary,
} from "../../domain/views/batch.ts";
import { contactStatuses } from "../../domain/contact-status.ts";
import { intakeBounds } from "../../domain/intake-bounds.ts";
import {
  chatIdOutput,
  externalRefOutput,
  flagQuery,
  instanceIdInput,
  instanceIdOutput,
  listQuery,
  maxAgeInput,
  maxAgeQuery,
  moment,
  nextCursor,
  orNull,
  pageQuery,
  priorityInput,
  storableText,
} from "./common.ts";

/** Items of one JSON request; streams have no limit. */
const maxItems = intakeBounds.items.json;
const { label: maxLabel, externalRef: maxRef, idText: maxIdText } = intakeBounds;

/** As the database writes it: ids are compared as texts, and locked by them. */
const batchIdInput = z.uuid().toLowerCase();

const callbackUrl = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .meta({ description: "Where to tell that the batch is done. Stored; not called yet." });

const contactInput = z
  .strictObject({
    chatId: storableText(maxIdText).optional(),
    phone: storableText(maxIdText).optional(),
    externalRef: storableText(maxRef).nullable().optional(),
  })
  .meta({
    id: "NewContact",
    description:
      "A chat id, or a phone number with its country code; `externalRef` is your own id for the contact.",
  });

/** The JSON body of `POST /batches`. */
export const newBatchSchema = z
  .strictObject({
    instanceId: instanceIdInput,
    chatIds: z.array(storableText(maxIdText)).min(1).max(maxItems).optional().meta({
      description: "Chat ids, or phone numbers with their country codes. Either these or `contacts`.",
    }),
    contacts: z.array(contactInput).min(1).max(maxItems).optional(),
    priority: priorityInput.optional(),
    maxAge: maxAgeInput.optional(),
    label: storableText(maxLabel).optional(),
    callbackUrl: callbackUrl.optional(),
  })
  .refine(({ chatIds, contacts }) => (chatIds === undefined) !== (contacts === undefined), {
    error: "Expected either chatIds or contacts",
    path: ["chatIds"],
  })
  .meta({ id: "NewBatch" });

const example = "79001234567@c.us";

/** What `POST /batches` takes, for the document: the route reads its body by itself. */
export const acceptBodies = {
  "application/json": { schema: { $ref: "#/components/schemas/NewBatchInput" } },
  "application/x-ndjson": {
    schema: {
      type: "string",
      description:
        "One JSON object per line, with `chat_id` or `phone`, and `external_ref`; other keys by `column` and `refColumn`.",
      examples: [`{"chat_id":"${example}","external_ref":"42"}\n`],
    },
  },
  "text/csv": {
    schema: {
      type: "string",
      description: "With a header that names the column of the chat id or phone number, or without one.",
      examples: [`chat_id,external_ref\n${example},42\n`],
    },
  },
  "text/plain": {
    schema: {
      type: "string",
      description: "One chat id or phone number per line.",
      examples: [`${example}\n`],
    },
  },
} as const;

const strictQuery = z.strictObject({
  strict: flagQuery.optional().meta({ description: "Refuse all of it when one item is no contact." }),
});

/** The query of `POST /batches`: with a stream all that a JSON body would say. */
export const streamQuery = strictQuery.extend({
  instanceId: instanceIdInput.optional().meta({ description: "Streams only, and needed there." }),
  priority: z
    .enum(["0", "1", "2"])
    .transform(Number)
    .optional()
    .meta({ description: "Streams only. 0 interactive, 1 import, 2 resync. Default: 1." }),
  maxAge: maxAgeQuery.optional(),
  label: storableText(maxLabel).optional().meta({ description: "Streams only." }),
  callbackUrl: callbackUrl.optional().meta({ description: "Streams only. As in a JSON body." }),
  column: storableText(200).min(1).optional().meta({
    description:
      "Streams only. The column or key of the chat id or phone number; found by its name otherwise.",
  }),
  refColumn: storableText(200)
    .min(1)
    .optional()
    .meta({ description: "Streams only. The column or key of your own id; `external_ref` otherwise." }),
  defaultCountry: z
    .string()
    .regex(/^[A-Za-z]{2}$/)
    .optional()
    .meta({ description: "Streams only. The country of phone numbers without a plus, such as DE." }),
  resume: batchIdInput.optional().meta({
    description: "Streams only. Go on with this batch, which was cut off, by sending all of it again.",
  }),
});

export const idempotencyHeaders = z.looseObject({
  "idempotency-key": z.string().max(300).optional().meta({
    description:
      "Any text that is new with each request and the same when it is sent again, such as a UUID: 1 to 255 printable ASCII characters.",
  }),
});

export const batchParams = z.object({ id: batchIdInput.meta({ description: "The batch's id." }) });

const summaryShape = {
  id: z.uuid(),
  instanceId: instanceIdOutput,
  state: z.enum(batchStates).meta({
    description:
      "`incomplete`: its input still arrives, or was cut off. `working`: contacts wait for answers. `done`: nobody waits. `cancelled`: nobody waits any more.",
  }),
  source: z
    .string()
    .meta({ description: "Who asked: `file`, `query`, `instance`, `sql`, `bullmq`, `api`, `refresh`." }),
  label: z.string().nullable(),
  priority: z.int(),
  callbackUrl: z.string().nullable(),
  requestedAt: moment,
  freshAfter: moment.meta({ description: "An answer asked for at or after this moment is fresh enough." }),
  accepted: z.int().meta({ description: "Distinct contacts." }),
  duplicates: z.int(),
  rejected: z.int().meta({ description: "Items that were no contacts." }),
  completedIntakeAt: moment.nullable().meta({ description: "When its input had been read to its end." }),
  finishedAt: moment.nullable(),
  cancelledAt: moment.nullable(),
};

export const batchSummarySchema = z.object(summaryShape).meta({ id: "BatchSummary" });

const countOf = (description: string) => z.int().meta({ description });

const etaSeconds = z.number().nullable().meta({
  description: "Until nobody of the batch waits, if all goes on as now; null where it cannot be told.",
});

export const batchSchema = z
  .object({
    ...summaryShape,
    counts: z
      .object({
        pending: countOf("They wait for an answer."),
        fresh: countOf(
          "Their answers were fresh enough: no call was made. They are counted by their status too.",
        ),
        cancelled: countOf("Given up before they were answered."),
        erased: countOf("Erased since."),
        ...Object.fromEntries(contactStatuses.map((status) => [status, z.int()])),
      } as CountShape)
      .meta({
        description:
          "Contacts by their status now. accepted = pending + cancelled + erased + present + absent + hidden + invalid + unreachable + unknown.",
      }),
    callsPerSecond: z.number().meta({ description: "Of its instance, by all workers now." }),
    etaSeconds,
    held: z
      .array(
        z.object({
          instanceId: instanceIdOutput,
          state: z.enum(["held", "paused", "throttled"]),
          reason: z.string().nullable().meta({ description: "Of a hold." }),
          since: moment.nullable(),
          until: moment.nullable(),
        }),
      )
      .meta({ description: "Instances that contacts of the batch wait for." }),
  })
  .meta({ id: "Batch" });

type CountShape = Record<
  "pending" | "fresh" | "cancelled" | "erased" | (typeof contactStatuses)[number],
  z.ZodInt
>;

export const batchListQuery = pageQuery.extend({
  instanceId: instanceIdInput.optional(),
  state: listQuery(batchStates).optional(),
  refreshes: flagQuery
    .optional()
    .meta({ description: "Also the batches of one contact that `refresh` makes." }),
});

export const batchListSchema = z
  .object({ items: z.array(batchSummarySchema), next: nextCursor })
  .meta({ id: "BatchList" });

export const itemListQuery = pageQuery.extend({ status: listQuery(itemStatuses).optional() });

export const batchItemSchema = z
  .object({
    chatId: chatIdOutput,
    externalRef: externalRefOutput,
    position: z
      .int()
      .meta({ description: "The line, or the index in the request, where the contact first stood." }),
    status: z.enum(itemStatuses),
    avatarUrl: z.string().nullable(),
    urlExpiresAt: moment.nullable(),
    checkedAt: moment.nullable(),
    attempts: z.int(),
    lastError: z.string().nullable(),
  })
  .meta({ id: "BatchItem" });

export const itemListSchema = z
  .object({ items: z.array(batchItemSchema), next: nextCursor })
  .meta({ id: "BatchItemList" });

export const resultsQuery = z.strictObject({ status: listQuery(contactStatuses).optional() });

/** What `POST /batches` answers. */
export const acceptedBatchSchema = z
  .object({
    id: z.uuid(),
    instanceId: instanceIdOutput,
    requestedAt: moment,
    counts: z.object({
      accepted: countOf("Distinct contacts."),
      duplicates: z.int(),
      rejected: countOf("Items that were no contacts."),
    }),
    etaSeconds,
    resumed: z
      .boolean()
      .optional()
      .meta({ description: "Of a stream: it went on with a batch that had been cut off." }),
    items: z
      .array(
        z.object({
          index: z.int(),
          status: z.enum(["queued", "fresh", "duplicate", "invalid"]),
          chatId: chatIdOutput.optional(),
          reason: z.string().optional().meta({ description: "Why it is invalid." }),
        }),
      )
      .optional()
      .meta({
        description:
          "Of a JSON body, in its order. `queued`: a call will be made. `fresh`: the answer is there and younger than maxAge. `duplicate`: an earlier item is the same contact. `invalid`: no contact.",
      }),
    rejects: z
      .array(z.object({ line: z.int(), text: z.string(), reason: z.string() }))
      .optional()
      .meta({ description: "Of a stream: the first hundred lines that are no contacts." }),
  })
  .meta({ id: "AcceptedBatch" });

export const changedCountSchema = z
  .object({
    id: z.uuid(),
    contacts: countOf(
      "How many contacts are given up, or asked again. Those that another batch waits for are not given up.",
    ),
  })
  .meta({ id: "BatchChange" });

/** As the wire has it. */
export function toBatchSummary(batch: BatchSummary): z.output<typeof batchSummarySchema> {
  return {
    id: batch.batchId,
    instanceId: batch.instanceId,
    state: batch.state,
    source: batch.source,
    label: orNull(batch.label),
    priority: batch.priority,
    callbackUrl: orNull(batch.callbackUrl),
    requestedAt: batch.requestedAt,
    freshAfter: batch.freshAfter,
    accepted: batch.accepted,
    duplicates: batch.duplicates,
    rejected: batch.rejected,
    completedIntakeAt: orNull(batch.completedIntakeAt),
    finishedAt: orNull(batch.finishedAt),
    cancelledAt: orNull(batch.cancelledAt),
  };
}

/** As the wire has it. */
export function toBatch(batch: BatchReport): z.output<typeof batchSchema> {
  const { pending, fresh, cancelled, erased, finished, held } = batch;
  return {
    ...toBatchSummary(batch),
    counts: { pending, fresh, cancelled, erased, ...finished },
    callsPerSecond: Math.round(batch.callsPerSecond * 100) / 100,
    etaSeconds: toEtaSeconds(batch.etaMs),
    held: held
      ? [
          {
            instanceId: held.instanceId,
            state: held.state,
            reason: orNull(held.reason),
            since: orNull(held.since),
            until: orNull(held.until),
          },
        ]
      : [],
  };
}

/** As the wire has it. */
export function toBatchItem(item: BatchItem): z.output<typeof batchItemSchema> {
  return {
    ...item,
    externalRef: orNull(item.externalRef),
    avatarUrl: orNull(item.avatarUrl),
    urlExpiresAt: orNull(item.urlExpiresAt),
    checkedAt: orNull(item.checkedAt),
    lastError: orNull(item.lastError),
  };
}

/** To a tenth of a second. */
export function toEtaSeconds(etaMs: number | undefined): number | null {
  return etaMs === undefined ? null : Math.round(etaMs / 100) / 10;
}
