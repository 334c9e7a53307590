import { z } from "zod";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { findInstanceRemark } from "../../domain/instance-remark.ts";
import { mostCallsPerDay, parseCareZone, parseQuietHours } from "../../domain/care/care.ts";
import { findCarePause } from "../../domain/care/care-pause.ts";
import { toCareFacts } from "../../domain/care/care-view.ts";
import type { SettingParse } from "../../domain/setting-parse.ts";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { instanceTokenForm } from "../../domain/instance-token.ts";
import { parseApiUrl } from "../../lib/api-url.ts";
import { httpUrl, instanceIdInput, instanceIdOutput, moment, orNull, storableText } from "./common.ts";

export const instanceParams = z.object({ id: instanceIdInput });

const apiUrl = httpUrl
  .transform((text, context) => {
    const bare = parseApiUrl(text);
    if (bare !== undefined) return bare;
    context.addIssue({
      code: "custom",
      message: "Expected the bare apiUrl, without credentials or parameters",
    });
    return z.NEVER;
  })
  .meta({
    description:
      "`apiUrl` from the console: GREEN-API's hosts by https, and those that the operator added with `AVATARS_API_HOSTS`.",
    examples: ["https://7103.api.greenapi.com"],
  });

const token = z
  .string()
  .trim()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, `Expected ${instanceTokenForm}, as the console shows it`)
  .meta({ description: "`apiTokenInstance` from the console. Write-only: no answer ever holds it." });

const resyncShare = (when: string) =>
  z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .optional()
    .meta({ description: `The share of its calls that a resync may take ${when}; null: the default.` });

/** Text that a parser of the domain reads. */
const parsedText = <Value>(parse: (text: string) => SettingParse<Value>, maxLength: number) =>
  z
    .string()
    .max(maxLength, { abort: true })
    .transform((text, context) => {
      const parsed = parse(text);
      if (parsed.ok) return parsed.value;
      context.addIssue({ code: "custom", message: `Expected ${parsed.expected}` });
      return z.NEVER;
    });

const care = {
  callsPerDay: z.int().min(1).max(mostCallsPerDay).nullable().optional().meta({
    description:
      "Calls of getAvatar in a day of its time zone, at most, over all workers and whoever asks; null: no cap. Counts from when it is set.",
  }),
  quietHours: parsedText(parseQuietHours, 20)
    .nullable()
    .optional()
    .meta({
      description: "Between these times of its time zone no call is sent; null: there are none.",
      examples: ["22:00-07:00"],
    }),
  quietInteractive: z.boolean().nullable().optional().meta({
    description:
      "Contacts of priority 0, as refreshes have it, are asked for in quiet hours, too; null: they are not.",
  }),
  timeZone: parsedText(parseCareZone, 64)
    .nullable()
    .optional()
    .meta({
      description: "The zone of its days and quiet hours; null: UTC.",
      examples: ["Europe/Berlin"],
    }),
};

const settings = {
  label: storableText(200).nullable().optional(),
  requestsPerSecond: z
    .number()
    .min(0.1)
    .max(10_000)
    .nullable()
    .optional()
    .meta({ description: "Calls per second; null: the default." }),
  maxInFlight: z
    .int()
    .min(1)
    .max(100_000)
    .nullable()
    .optional()
    .meta({ description: "Calls in flight at most; null: from the rate and the time that answers take." }),
  resyncShare: resyncShare("within its window"),
  resyncDayShare: resyncShare("outside of its window"),
  ...care,
};

/** Why an instance that is active is not called, as the wire has it. */
const carePauseSchema = z
  .object({
    reason: z
      .enum(["quiet", "capped"])
      .meta({ description: "`quiet`: its quiet hours. `capped`: its calls of the day are used up." }),
    until: moment.meta({ description: "When calls go on." }),
  })
  .meta({ id: "CarePause" });

export const newInstanceSchema = z
  .strictObject({
    id: instanceIdInput.refine(
      (id) => id !== simulatedInstanceId,
      "Expected another id: this one is the simulator's",
    ),
    apiUrl,
    token,
    ...settings,
  })
  .meta({ id: "NewInstance" });

export const instanceChangesSchema = z
  .strictObject({
    apiUrl: apiUrl.optional().meta({
      description:
        "As in `NewInstance`, or as it is already. At another host it needs the token again: it would be sent there.",
    }),
    token: token.optional(),
    ...settings,
  })
  .meta({ id: "InstanceChanges" });

export const instanceSchema = z
  .object({
    id: instanceIdOutput,
    apiUrl: z.string(),
    label: z.string().nullable(),
    requestsPerSecond: z.number().nullable().meta({ description: "Null: the default." }),
    maxInFlight: z.int().nullable(),
    resyncShare: z.number().nullable().meta({ description: "Null: the default." }),
    resyncDayShare: z.number().nullable().meta({ description: "Null: the default." }),
    callsPerDay: z.int().nullable().meta({ description: "Null: no cap." }),
    callsToday: z.int().nullable().meta({
      description:
        "Calls that count for the present day, with those that a worker has reserved for the next second; null: no cap.",
    }),
    quietHours: z.string().nullable(),
    quietInteractive: z.boolean(),
    timeZone: z.string().nullable().meta({ description: "Null: UTC." }),
    carePause: carePauseSchema
      .nullable()
      .meta({ description: "Why it is not called now for its own good; null: it may be." }),
    state: z.enum(["active", "held", "paused"]),
    heldReason: z.string().nullable(),
    heldSince: moment.nullable(),
    heldUntil: moment.nullable().meta({ description: "When it is tried next." }),
    stateSeen: z.string().nullable().meta({ description: "What getStateInstance said last." }),
    stateSeenAt: moment.nullable(),
    remark: z.string().nullable().meta({
      description:
        "What is to be known of it before contacts are given to it, e.g. that an instance of the WhatsApp Business API (7835…) has no avatars.",
    }),
    hookSetAt: moment.nullable().meta({
      description: "Since when its notifications are taken with the token of its hook; null: they are not.",
    }),
  })
  .meta({ id: "Instance" });

export const instanceListSchema = z.object({ items: z.array(instanceSchema) }).meta({ id: "InstanceList" });

export const hookSchema = z
  .object({
    path: z.string().meta({ examples: ["/hooks/green-api/1101000001"] }),
    url: z
      .string()
      .nullable()
      .meta({ description: "Null: AVATARS_PUBLIC_URL does not say where this server is reached." }),
    token: z.string().meta({ description: "To be set as webhookUrlToken. It is not shown again." }),
  })
  .meta({ id: "Hook" });

export const removeQuery = z.strictObject({
  contacts: z.enum(["keep", "erase"]).default("keep").meta({
    description: "`erase`: also its contacts, their avatars and batches. `keep`: refuse where there are any.",
  }),
});

/** The instance as the wire has it: everything but the token. */
export function toInstance(instance: InstanceView, now: Date): z.output<typeof instanceSchema> {
  return {
    id: instance.id,
    apiUrl: instance.apiUrl,
    label: orNull(instance.label),
    requestsPerSecond: orNull(instance.requestsPerSecond),
    maxInFlight: orNull(instance.maxInFlight),
    resyncShare: orNull(instance.resyncShare),
    resyncDayShare: orNull(instance.resyncDayShare),
    callsPerDay: orNull(instance.callsPerDay),
    callsToday: orNull(instance.callsToday),
    quietHours: orNull(instance.quietHours),
    quietInteractive: instance.quietInteractive,
    timeZone: orNull(instance.timeZone),
    carePause: orNull(findCarePause(toCareFacts(instance), now)),
    state: instance.state,
    heldReason: orNull(instance.heldReason),
    heldSince: orNull(instance.heldSince),
    heldUntil: orNull(instance.heldUntil),
    stateSeen: orNull(instance.stateSeen),
    stateSeenAt: orNull(instance.stateSeenAt),
    remark: orNull(findInstanceRemark(instance.id, instance.apiUrl)),
    hookSetAt: orNull(instance.hookSetAt),
  };
}
