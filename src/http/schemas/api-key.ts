import { z } from "zod";
import { apiScopes, toKeyState, type ApiKey } from "../../domain/api-key.ts";
import { intakeBounds } from "../../domain/intake-bounds.ts";
import { instanceIdInput, instanceIdOutput, moment, orNull, storableText } from "./common.ts";

const maxInstances = 1_000;
const maxDays = 3_650;
const dayMs = 86_400_000;

export const keyParams = z.object({
  id: z
    .string()
    .regex(/^[0-9a-z]{12}$/)
    .meta({ description: "The part of the key between `avk_` and the dot." }),
});

export const keySchema = z
  .object({
    id: z.string(),
    label: z.string().nullable(),
    state: z.enum(["active", "expired", "revoked"]),
    scopes: z.array(z.enum(apiScopes)),
    instanceIds: z
      .array(instanceIdOutput)
      .nullable()
      .meta({ description: "The instances that it is limited to; null: all, also those to come." }),
    createdAt: moment,
    expiresAt: moment.nullable(),
    revokedAt: moment.nullable(),
    lastUsedAt: moment.nullable().meta({ description: "To a minute." }),
  })
  .meta({ id: "ApiKey" });

export const keyListSchema = z.object({ items: z.array(keySchema) }).meta({ id: "ApiKeyList" });

export const newKeySchema = z
  .strictObject({
    label: storableText(intakeBounds.label).nullable().optional(),
    scopes: z.array(z.enum(apiScopes)).min(1).max(20),
    instanceIds: z
      .array(instanceIdInput)
      .min(1)
      .max(maxInstances)
      .nullable()
      .optional()
      .meta({ description: "Null: all, also those to come." }),
    expiresInDays: z
      .number()
      .min(0.01)
      .max(maxDays)
      .transform((days) => days * dayMs)
      .nullable()
      .optional()
      .meta({ description: "Null: never." }),
  })
  .meta({ id: "NewApiKey" });

export const madeKeySchema = z
  .object({
    key: keySchema,
    token: z.string().meta({ description: "`avk_…`: it can never be read again." }),
  })
  .meta({ id: "MadeApiKey" });

/** The key as the wire has it: everything but its secret. */
export function toKey(key: ApiKey, now: Date): z.output<typeof keySchema> {
  return {
    id: key.id,
    label: orNull(key.label),
    state: toKeyState(key, now),
    scopes: [...key.scopes],
    instanceIds: key.instanceIds ? [...key.instanceIds] : null,
    createdAt: key.createdAt,
    expiresAt: orNull(key.expiresAt),
    revokedAt: orNull(key.revokedAt),
    lastUsedAt: orNull(key.lastUsedAt),
  };
}
