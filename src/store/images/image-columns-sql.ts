import type { ContactImage } from "../../domain/views/contact-image.ts";

/** The image of a contact, as the driver gives it. */
export interface ImageRow {
  readonly image_url: string | null;
  readonly image_sha256: string | null;
  readonly image_width: number | null;
  readonly image_height: number | null;
  readonly image_at: Date | null;
  readonly image_old: boolean;
}

/** The address of a contact, by its id and the installation `n`. Null: no API serves images. */
export function toImageUrlSql(contactId: string): string {
  return `case when n.serves_images then
    coalesce(n.public_url, '') || '/i/' || avatars.image_token(${contactId}, n.image_key_inner, n.image_key_outer) end`;
}

/**
 * The columns of an {@link ImageRow}, of a contact `c` with an avatar `a`. They need {@link imageJoinsSql} behind both.
 * @param contactId e.g. `c.id`
 */
export function toImageColumns(contactId: string): string {
  return `${toImageUrlSql(contactId)} as image_url, encode(a.image_sha256, 'hex') as image_sha256,
  g.width as image_width, g.height as image_height, a.image_at,
  a.image_sha256 is not null and (c.status <> 'present' or a.image_version is distinct from a.version) as image_old`;
}

/** The installation, one row. */
export const installationJoinSql = "cross join lateral (select * from avatars.installation limit 1) n";

/** By probes of the key (`limit`): a planner without statistics might read all images instead. */
export const imageJoinsSql = `left join lateral (
    select i.width, i.height from avatars.images i where i.sha256 = a.image_sha256 limit 1
  ) g on true
  ${installationJoinSql}`;

export function toContactImage(row: ImageRow): ContactImage {
  return {
    url: row.image_url ?? undefined,
    sha256: row.image_sha256 ?? undefined,
    width: row.image_width ?? undefined,
    height: row.image_height ?? undefined,
    at: row.image_at ?? undefined,
    isOld: row.image_old,
  };
}
