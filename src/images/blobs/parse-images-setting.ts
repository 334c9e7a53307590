import path from "node:path";
import { fileURLToPath } from "node:url";
import type { SettingParse } from "../../domain/setting-parse.ts";
import { findS3Parts, type S3Parts } from "./find-s3-parts.ts";

/** Where images are kept: `AVATARS_IMAGES` alone. */
type ImagesPlace =
  | { readonly kind: "off" }
  /** Absolute. */
  | { readonly kind: "directory"; readonly path: string }
  /** `prefix` has no slash at its ends, and may be empty. */
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

/** Where images are kept, with all that is needed to go there. */
export type ImagesSetting =
  /** `isChosen` false: nothing is set, and the database is not the embedded one. */
  | { readonly kind: "off"; readonly isChosen: boolean }
  | { readonly kind: "directory"; readonly path: string }
  | S3Setting;

/** A bucket, and how to come there. */
export interface S3Setting extends S3Parts {
  readonly kind: "s3";
  readonly bucket: string;
  /** Without a slash at its ends; may be empty. */
  readonly prefix: string;
}

const expected = "a folder such as /var/lib/avatars/images, s3://bucket/prefix, or off";

/**
 * Reads where images are kept from all settings that are about it, and names all their faults; never a value, which may be a
 * secret in the wrong place.
 * @param env settings that are empty are left out
 */
export function parseImagesSetting(
  env: NodeJS.ProcessEnv,
):
  | { readonly ok: true; readonly value: ImagesSetting | undefined }
  | { readonly ok: false; readonly faults: readonly string[] } {
  const text = env["AVATARS_IMAGES"]?.trim();
  if (text === undefined) return { ok: true, value: undefined };
  const place = parseImagesPlace(text);
  if (!place.ok) {
    const parts = /^s3:/i.test(text) ? findS3Parts(env, "") : undefined;
    const others = parts === undefined || parts.ok ? [] : parts.faults;
    return { ok: false, faults: [`AVATARS_IMAGES must be ${place.expected}`, ...others] };
  }
  switch (place.value.kind) {
    case "off":
      return { ok: true, value: { kind: "off", isChosen: true } };
    case "directory":
      return { ok: true, value: place.value };
    case "s3": {
      const found = findS3Parts(env, place.value.bucket);
      return found.ok ? { ok: true, value: { ...place.value, ...found.value } } : found;
    }
  }
}

/** Where images are kept when nothing says so: beside the embedded database, else nowhere. */
export function chooseUnsetImages(dataDir: string, isEmbedded: boolean): ImagesSetting {
  if (!isEmbedded) return { kind: "off", isChosen: false };
  return { kind: "directory", path: path.join(dataDir, "images") };
}

/** `off`, `s3://bucket` or `s3://bucket/prefix`, `file:///folder`, or a folder's path. */
function parseImagesPlace(text: string): SettingParse<ImagesPlace> {
  if (text.toLowerCase() === "off") return { ok: true, value: { kind: "off" } };
  if (/^s3:/i.test(text)) return parseBucket(text);
  if (/^file:/i.test(text)) return parseFileUrl(text);
  if (/^[a-z][a-z\d+.-]+:/i.test(text))
    return { ok: false, expected: `${expected}; other URLs are not known` };
  if (text.includes("\0")) return { ok: false, expected };
  return { ok: true, value: { kind: "directory", path: path.resolve(text) } };
}

function parseBucket(text: string): SettingParse<ImagesPlace> {
  const [bucket = "", ...segments] = text.replace(/^s3:\/\//i, "").split("/");
  // A slash at the end is customary.
  if (segments.at(-1) === "") segments.pop();
  const faults = [
    ...(/^s3:\/\//i.test(text) ? [] : ["two slashes after s3:"]),
    ...(/^[a-z\d](?:[a-z\d.-]{1,61})[a-z\d]$/.test(bucket)
      ? []
      : ["a bucket of 3 to 63 small letters, digits, dots and hyphens"]),
    ...(segments.every((segment) => /^[\w.-]+$/.test(segment) && !/^\.+$/.test(segment))
      ? []
      : ["a prefix of letters, digits, dots, hyphens and underscores between single slashes"]),
  ];
  if (faults.length > 0) return { ok: false, expected: `s3://bucket/prefix with ${faults.join(", and ")}` };
  return { ok: true, value: { kind: "s3", bucket, prefix: segments.join("/") } };
}

function parseFileUrl(text: string): SettingParse<ImagesPlace> {
  try {
    // Without the slashes a relative path would become one from the root.
    if (/^file:\/\/\//i.test(text))
      return { ok: true, value: { kind: "directory", path: fileURLToPath(text) } };
  } catch {
    // Such as an escaped slash, or a host.
  }
  return { ok: false, expected: `${expected}; a file: URL has three slashes and an absolute path` };
}
