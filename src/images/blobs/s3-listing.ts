import { XMLParser } from "fast-xml-parser";
import { z } from "zod";
import { UserError } from "../../lib/errors.ts";
import { parseBlobKey } from "./blob-key.ts";
import type { BlobEntry } from "./blob-store.ts";

/** One page of ListObjectsV2. */
export interface S3Page {
  readonly entries: readonly BlobEntry[];
  /** Where the next page begins; undefined: this is the last one. */
  readonly next: string | undefined;
}

const parser = new XMLParser({
  ignoreAttributes: true,
  // Keys of digits stay texts.
  parseTagValue: false,
  isArray: (name) => name === "Contents",
});

const pageSchema = z.object({
  ListBucketResult: z.object({
    IsTruncated: z.enum(["true", "false"]),
    NextContinuationToken: z.string().min(1).optional(),
    Contents: z
      .array(
        z.object({
          Key: z.string(),
          Size: z.string().regex(/^\d{1,15}$/),
          LastModified: z.string().transform((text) => new Date(text)),
        }),
      )
      .default([]),
  }),
});

/**
 * Reads a page; keys that are not ours are passed over.
 * @param start what all keys begin with, such as `prefix/`
 * @throws UserError `images-refused` where it is no such page, or half of one
 */
export function parseS3Page(body: Buffer, start: string, shown: string): S3Page {
  const { IsTruncated, NextContinuationToken, Contents } = readPage(body, shown);
  const isLast = IsTruncated === "false";
  if (!isLast && NextContinuationToken === undefined) throw toUnreadable(shown);
  const entries = Contents.flatMap(({ Key, Size, LastModified }): BlobEntry[] => {
    const key = Key.startsWith(start) ? parseBlobKey(Key.slice(start.length))?.key : undefined;
    return key === undefined ? [] : [{ key, size: Number(Size), modifiedAt: LastModified }];
  });
  return { entries, next: isLast ? undefined : NextContinuationToken };
}

function readPage(body: Buffer, shown: string) {
  try {
    return pageSchema.parse(parser.parse(body, true)).ListBucketResult;
  } catch (error) {
    throw toUnreadable(shown, error);
  }
}

function toUnreadable(shown: string, cause?: unknown): UserError {
  const text = `${shown} answers a listing with something else: is there an S3 service at AVATARS_S3_ENDPOINT?`;
  return new UserError("images-refused", text, cause === undefined ? {} : { cause });
}

/** Whether the bucket keeps what is removed from it, or did so once, as GetBucketVersioning says. */
export function keepsVersions(body: Buffer): boolean {
  try {
    const versioning = z
      .object({ VersioningConfiguration: z.object({ Status: z.string() }) })
      .safeParse(parser.parse(body)).data?.VersioningConfiguration;
    // "Suspended" still has the versions from before. A bucket that never had any has no status.
    return versioning !== undefined;
  } catch {
    return false;
  }
}
