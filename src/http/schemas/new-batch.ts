import { z } from "zod";
import { intakeBounds } from "../../domain/intake-bounds.ts";
import {
  flagQuery,
  httpUrl,
  instanceIdInput,
  maxAgeInput,
  maxAgeQuery,
  priorityInput,
  storableText,
} from "./common.ts";

const { label: maxLabel, externalRef: maxRef, idText: maxIdText } = intakeBounds;

/** Items of one JSON request; streams have no limit. */
const maxItems = intakeBounds.items.json;

/** The id of a batch as the database writes it: ids are compared as texts, and locked by them. */
export const batchIdInput = z.uuid().toLowerCase();

const callbackUrl = httpUrl.meta({
  description: "Where to tell that the batch is done. Stored; not called yet.",
});

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

/** The bodies that `POST /batches` takes, for the document: the route reads its body by itself. */
export const acceptBodies = {
  "application/json": { schema: { $ref: "#/components/schemas/NewBatchInput" } },
  "application/x-ndjson": {
    schema: {
      type: "string",
      description:
        "One JSON object per line, with `chat_id`, `phone` or `phones`, and `external_ref`; other keys by `column` and `refColumn`. A JSON array of such objects, too.",
      examples: [`{"chat_id":"${example}","external_ref":"42"}\n`],
    },
  },
  "text/csv": {
    schema: {
      type: "string",
      description:
        "With a header that names the columns of chat ids or phone numbers, or without one. A cell may hold several.",
      examples: [`chat_id,external_ref\n${example},42\n`],
    },
  },
  "text/vcard": {
    schema: {
      type: "string",
      description: "vCards 2.1, 3.0 and 4.0: each TEL is a contact, the UID its reference.",
      examples: ["BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=CELL:+7 900 123-45-67\r\nEND:VCARD\r\n"],
    },
  },
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
    schema: { type: "string", format: "binary", description: "An Excel workbook." },
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
      "Streams only. The column or key of the chat ids or phone numbers, and no other; all with known names otherwise.",
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
  firstNumber: flagQuery.optional().meta({
    description:
      "Streams only. Of each record one number alone, the likeliest mobile; all of them otherwise.",
  }),
  encoding: storableText(40).min(1).optional().meta({
    description: "Streams only. Of text, such as `windows-1251`; found out otherwise.",
  }),
  sheet: storableText(200).min(1).optional().meta({
    description: "Streams only. Of a workbook; the first with a column of numbers otherwise.",
  }),
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
