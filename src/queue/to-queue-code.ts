/** A log may say this of an error of the queue: its code, or its class, and no foreign text. */
export function toQueueCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "UNKNOWN";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "UNKNOWN";
}
