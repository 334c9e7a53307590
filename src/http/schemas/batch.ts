import { z } from "zod";
import { imageFields, toImageFields } from "./image.ts";
import {
  batchStates,
  itemStatuses,
  type BatchItem,
  type BatchReport,
  type BatchSummary,
} from "../../domain/views/batch.ts";
import { contactStatuses } from "../../domain/contact-status.ts";
import {
  chatIdOutput,
  contactIdOutput,
  externalRefOutput,
  flagQuery,
  instanceIdInput,
  instanceIdOutput,
  listQuery,
  moment,
  nextCursor,
  orNull,
  pageQuery,
} from "./common.ts";
import { batchIdInput } from "./new-batch.ts";

export const batchParams = z.object({ id: batchIdInput.meta({ description: "The batch's id." }) });

const summaryShape = {
  id: z.uuid(),
  instanceId: instanceIdOutput,
  state: z.enum(batchStates).meta({
    description:
      "`incomplete`: its input still arrives, or was cut off. `working`: contacts wait for answers. `done`: no contact waits. `cancelled`: no contact waits any more.",
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
  description: "Until no contact of the batch waits, if all goes on as now; null where it cannot be told.",
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
    .meta({ description: "Also the batches that `refresh` makes, and signals of the provider." }),
});

export const batchListSchema = z
  .object({ items: z.array(batchSummarySchema), next: nextCursor })
  .meta({ id: "BatchList" });

export const itemListQuery = pageQuery.extend({ status: listQuery(itemStatuses).optional() });

export const batchItemSchema = z
  .object({
    contactId: contactIdOutput,
    chatId: chatIdOutput,
    externalRef: externalRefOutput,
    position: z.int().meta({
      description:
        "The line, row, card or item of the input, or the index in the request, where the contact first stood.",
    }),
    status: z.enum(itemStatuses),
    avatarUrl: z.string().nullable(),
    urlExpiresAt: moment.nullable(),
    checkedAt: moment.nullable(),
    attempts: z.int(),
    lastError: z.string().nullable(),
    ...imageFields,
  })
  .meta({ id: "BatchItem" });

export const itemListSchema = z
  .object({ items: z.array(batchItemSchema), next: nextCursor })
  .meta({ id: "BatchItemList" });

export const resultsQuery = z.strictObject({ status: listQuery(contactStatuses).optional() });

/** The answer of `POST /batches`. */
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
      .array(
        z.object({
          line: z
            .int()
            .meta({ description: "The number of the line, row, card or item, as `reading.unit` says." }),
          place: z.string().optional().meta({ description: "Of a workbook: the sheet and the cell." }),
          text: z.string(),
          reason: z.string(),
        }),
      )
      .optional()
      .meta({ description: "Of a stream: the first hundred records that are no contacts." }),
    reading: z
      .object({
        unit: z.enum(["line", "row", "card", "item"]),
        format: z.string().nullable(),
        encoding: z.string().nullable().meta({ description: "Of text; null where it is all ASCII." }),
        sheet: z.string().nullable().meta({ description: "Of a workbook." }),
        columns: z
          .array(z.string())
          .meta({ description: "The columns or keys that contacts were looked for in." }),
        refColumn: z.string().nullable(),
        several: countOf("Lines, rows, cards or items that gave more than one contact."),
      })
      .optional()
      .meta({ description: "Of a stream: how it was read." }),
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

/** The summary of a batch as the wire has it. */
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

/** The batch as the wire has it. */
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

/** The item of a batch as the wire has it. */
export function toBatchItem(item: BatchItem): z.output<typeof batchItemSchema> {
  return {
    ...item,
    contactId: String(item.contactId),
    externalRef: orNull(item.externalRef),
    avatarUrl: orNull(item.avatarUrl),
    urlExpiresAt: orNull(item.urlExpiresAt),
    checkedAt: orNull(item.checkedAt),
    lastError: orNull(item.lastError),
    ...toImageFields(item.image),
  };
}

/** To a tenth of a second. */
export function toEtaSeconds(etaMs: number | undefined): number | null {
  return etaMs === undefined ? null : Math.round(etaMs / 100) / 10;
}
