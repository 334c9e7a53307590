import type { BatchImages } from "../../domain/views/batch-images.ts";
import { toCounted } from "../terminal/counted.ts";

/** What a person reads in place of the codes that tell why an image is not there; other codes are words themselves. */
const words: Readonly<Record<string, string>> = {
  "not-tried": "not tried yet",
  expired: "URL had died",
  gone: "gone from their host",
  forbidden: "refused by their host",
  deadline: "host took too long",
  connection: "host not reached",
  "server-error": "host has a fault",
  throttled: "host asks to wait",
  "unexpected-status": "host answers otherwise than expected",
  "too-large": "more than 5 MiB",
  "too-many-pixels": "too many pixels",
  "host-not-allowed": "host not among AVATARS_IMAGE_HOSTS",
  "not-https": "URL not https, and host not among AVATARS_IMAGE_HOSTS",
  "private-address": "host at a private address, and not among AVATARS_IMAGE_HOSTS",
};

/** How far the pictures are, in few words: for a line of progress. */
export function formatImageProgress({ shown, wanted }: BatchImages): string {
  return `pictures ${shown}/${shown + wanted}`;
}

/** The pictures of a batch at its end: how many are there, how many are missing, and why. */
export function formatImages({ shown, wanted, missing }: BatchImages): string {
  const reasons = Object.entries(missing);
  const count = reasons.reduce((sum, [, contacts]) => sum + contacts, 0);
  const why = reasons.map(([code, contacts]) => `${contacts} ${words[code] ?? code.replaceAll("-", " ")}`);
  return [
    `pictures: ${shown} taken`,
    ...(count > 0 ? [`${count} missing (${why.join(", ")})`] : []),
    ...(wanted > 0 ? [`${toCounted(wanted, "is", "are")} left, which a worker takes later`] : []),
  ].join("; ");
}
