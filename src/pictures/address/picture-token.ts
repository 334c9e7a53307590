import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

const idBytes = 8;
const macBytes = 16;
/** 24 bytes in base64url: 32 characters of six bits each, so that a token is written in one way alone. */
const form = /^[\w-]{32}$/;
const keyBytes = 32;
/** A block of SHA-256. */
const blockBytes = 64;

/**
 * The key of all addresses, derived from the installation's. A database is given this one, in a form that SQL can use: never
 * the installation's own, which seals tokens.
 * @param secretKey AVATARS_SECRET_KEY, 32 bytes
 * @returns 32 bytes
 */
export function derivePictureKey(secretKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", secretKey, "", "contact-avatars: addresses of pictures", keyBytes));
}

/**
 * What a contact's address ends with, for ever: its id, and a mark that only this installation can make. It tells neither chat
 * nor instance, and none follows from another.
 * @param contactId `avatars.contacts.id`
 * @param key by derivePictureKey
 * @returns 32 characters of base64url
 */
export function createPictureToken(contactId: number, key: Uint8Array): string {
  const id = toBytes(contactId);
  return Buffer.concat([id, mark("picture:", id, key).subarray(0, macBytes)]).toString("base64url");
}

/**
 * The contact of a token; undefined where this installation has not made it. It takes the same time for each text of a token's
 * form.
 * @param key by derivePictureKey
 */
export function readPictureToken(text: string, key: Uint8Array): number | undefined {
  if (!form.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  const id = bytes.subarray(0, idBytes);
  const isOurs = timingSafeEqual(bytes.subarray(idBytes), mark("picture:", id, key).subarray(0, macBytes));
  return isOurs ? Number(id.readBigInt64BE()) : undefined;
}

/**
 * A number of the contact's, 0 to 2^32 - 1, always the same, which a drawing may show: it tells nothing of the token.
 * @param key by derivePictureKey
 */
export function createPictureSeed(contactId: number, key: Uint8Array): number {
  return mark("colour:", toBytes(contactId), key).readUInt32BE();
}

/**
 * The key as `avatars.picture_token` takes it, 128 bytes: padded to a block for the inner hash, then for the outer one (RFC
 * 2104). Postgres has hashes, but no XOR of bytes.
 * @param key by derivePictureKey
 */
export function toSqlPictureKey(key: Uint8Array): Buffer {
  if (key.length !== keyBytes) throw new RangeError(`the key of pictures has ${keyBytes} bytes`);
  const block = Buffer.alloc(blockBytes);
  block.set(key);
  return Buffer.concat([block.map((byte) => byte ^ 0x36), block.map((byte) => byte ^ 0x5c)]);
}

/** Big endian, as Postgres' int8send. */
function toBytes(contactId: number): Buffer {
  const bytes = Buffer.alloc(idBytes);
  bytes.writeBigInt64BE(BigInt(contactId));
  return bytes;
}

/** HMAC-SHA256 for one purpose. */
function mark(purpose: "picture:" | "colour:", id: Uint8Array, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(purpose).update(id).digest();
}
