import { z } from "zod";

/** GREEN-API's `idInstance`: digits, e.g. `1101000001`; 10 of them, and up to 12 since July 2026. */
export type InstanceId = string & { readonly __brand: "InstanceId" };

/** The simulator's instance: no real one has this id. It is never chosen, and never worked on, unless asked for. */
export const simulatedInstanceId = "0000000000" as InstanceId;

const instanceIdSchema = z
  .string()
  .trim()
  .regex(/^\d{1,20}$/)
  .transform((id) => id as InstanceId);

/** The instance id in `text`, or undefined where it is not one (1 to 20 digits). */
export function parseInstanceId(text: unknown): InstanceId | undefined {
  const parsed = instanceIdSchema.safeParse(typeof text === "number" ? String(text) : text);
  return parsed.success ? parsed.data : undefined;
}
