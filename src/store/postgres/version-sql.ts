import { unknownVersionPrefix } from "../../domain/avatar-version.ts";

/** A condition on a version: it says nothing of the picture (domain/avatar-version.ts). Null where the version is. */
export const isUnknownSql = (version: string) => `starts_with(${version}, '${unknownVersionPrefix}')`;

/**
 * A condition on two versions: they are surely of two pictures, as far as versions tell, or one of them is of none. The function
 * `avatars.is_avatar_change` says the same where there are no images.
 */
export function differSql(from: string, to: string): string {
  return `(${from} is distinct from ${to} and (${from} is null or ${to} is null
      or not (${isUnknownSql(from)} or ${isUnknownSql(to)})))`;
}

/**
 * A version as it is shown: one that says nothing is the hash of the image that was taken of it, or null.
 * @param sha256 of that image; null where there is none
 */
export function toShownVersion(version: string, sha256: string): string {
  return `case when ${isUnknownSql(version)} then 'sha256:' || encode(${sha256}, 'hex') else ${version} end`;
}

/** The same for the avatar `a`. */
export const shownVersion = toShownVersion(
  "a.version",
  "case when a.image_version = a.version then a.image_sha256 end",
);
