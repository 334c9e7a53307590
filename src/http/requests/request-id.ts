import { randomUUID } from "node:crypto";

/** The request's id as its sender gave it, where it is fit for logs and headers; else a new one. */
export function toRequestId(given: string | readonly string[] | undefined): string {
  return typeof given === "string" && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
}
