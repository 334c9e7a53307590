import { imageSizes, type ImageSize } from "../../domain/images/image.ts";

/** Where a blob is kept: `ab/cd/<sha256>` for an original, `ab/cd/<sha256>.64` for a size of it. */
export type BlobKey = string & { readonly __brand: "BlobKey" };

const hashForm = /^[\da-f]{64}$/;
const keyForm = /^([\da-f]{2})\/([\da-f]{2})\/([\da-f]{64})(?:\.(64|128|256|640))?$/;

/**
 * The key of an original, or of one size of it.
 * @param hash SHA-256 of the original's bytes: 64 hex digits in small letters
 * @throws TypeError for another hash: it would be a path of its own choice
 */
export function toBlobKey(hash: string, size?: ImageSize): BlobKey {
  if (!hashForm.test(hash)) throw new TypeError("the hash of an image is 64 hex digits in small letters");
  const original = `${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}`;
  return (size === undefined ? original : `${original}.${size}`) as BlobKey;
}

/** All keys that blobs of one hash may have, the original's first. */
export function listKeysOfHash(hash: string): BlobKey[] {
  return [toBlobKey(hash), ...imageSizes.map((size) => toBlobKey(hash, size))];
}

/** What a key says: whose blob it is, and of which size; undefined size: the original. */
export interface BlobName {
  readonly hash: string;
  readonly size: ImageSize | undefined;
}

/** Undefined: `text` is no key of ours, such as a file that another program has put there. */
export function parseBlobKey(text: string): (BlobName & { readonly key: BlobKey }) | undefined {
  const [, first, second, hash, digits] = keyForm.exec(text) ?? [];
  if (hash === undefined || hash.slice(0, 2) !== first || hash.slice(2, 4) !== second) return undefined;
  const size = digits === undefined ? undefined : (Number(digits) as ImageSize);
  return { key: text as BlobKey, hash, size };
}

/**
 * Originals before their sizes. A resize that is under way looks for its original afterwards, and takes its own size away
 * where that is gone.
 */
export function putOriginalsFirst(keys: readonly BlobKey[]): { originals: BlobKey[]; sizes: BlobKey[] } {
  const isOriginal = (key: BlobKey) => parseBlobKey(key)?.size === undefined;
  return { originals: keys.filter(isOriginal), sizes: keys.filter((key) => !isOriginal(key)) };
}
