/**
 * The header `Idempotency-Key`, a string in quotes as the draft has it.
 * @param key undefined: a key of 128 random bits, which no other call has
 * @throws TypeError for a key that the server would not take
 */
export function toIdempotencyHeader(key: string = createKey()): string {
  if (!/^[ -~]{1,255}$/.test(key)) {
    throw new TypeError("idempotencyKey: expected 1 to 255 printable ASCII characters, such as a UUID");
  }
  return `"${key.replace(/["\\]/g, "\\$&")}"`;
}

/** randomUUID is there only on pages that came by HTTPS. */
function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
