import { createHmac, timingSafeEqual } from "node:crypto";

const idBytes = 8;
const macBytes = 16;
/** 24 bytes in base64url: 32 characters of six bits each, so that a token is written in one way alone. */
const form = /^[\w-]{32}$/;

/**
 * What a contact's address ends with, for ever: its id, and a mark that only this installation can make. It tells neither chat
 * nor instance, and none follows from another.
 * @param contactId `avatars.contacts.id`
 * @param key of the installation: `avatars.installation.image_key`
 * @returns 32 characters of base64url
 */
export function createImageToken(contactId: number, key: Uint8Array): string {
  const id = toBytes(contactId);
  return Buffer.concat([id, mark("image:", id, key).subarray(0, macBytes)]).toString("base64url");
}

/**
 * The contact of a token; undefined where this installation has not made it. It takes the same time for each text of a token's
 * form.
 * @param key of the installation: `avatars.installation.image_key`
 */
export function readImageToken(text: string, key: Uint8Array): number | undefined {
  if (!form.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  const id = bytes.subarray(0, idBytes);
  const isOurs = timingSafeEqual(bytes.subarray(idBytes), mark("image:", id, key).subarray(0, macBytes));
  return isOurs ? Number(id.readBigInt64BE()) : undefined;
}

/**
 * A number of the contact's, 0 to 2^32 - 1, always the same, which a drawing may show: it tells nothing of the token.
 * @param key of the installation: `avatars.installation.image_key`
 */
export function createImageSeed(contactId: number, key: Uint8Array): number {
  return mark("colour:", toBytes(contactId), key).readUInt32BE();
}

/** Big endian, as Postgres' int8send. */
function toBytes(contactId: number): Buffer {
  const bytes = Buffer.alloc(idBytes);
  bytes.writeBigInt64BE(BigInt(contactId));
  return bytes;
}

/** HMAC-SHA256 for one purpose. */
function mark(purpose: "image:" | "colour:", id: Uint8Array, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(purpose).update(id).digest();
}
