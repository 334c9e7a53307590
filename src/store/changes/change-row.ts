import type { ChatId } from "../../domain/chat-id.ts";
import type { AvatarChange } from "../../domain/views/contact-view.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { toShownVersion } from "../postgres/version-sql.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";
import {
  installationJoinSql,
  toContactImage,
  toImageUrlSql,
  type ImageRow,
} from "../images/image-columns-sql.ts";

/** A change as the driver gives it: of a row `h` of `avatar_changes`, with its contact, and its avatar `a`. */
export interface ChangeRow extends ImageRow {
  id: string;
  instance_id: InstanceId;
  chat_id: ChatId;
  external_ref: string | null;
  from_version: string | null;
  to_version: string | null;
  seen_at: Date;
  url: string | null;
  url_expires_at: Date | null;
  from_image_sha256: string | null;
  from_image_kept: boolean;
  image_kept: boolean;
}

/**
 * The columns of a {@link ChangeRow}. Its avatar is there only as long as no later change has replaced it.
 * @param contact the alias of a table with the columns of its contact
 */
export function toChangeColumns(contact: string): string {
  return `h.id, ${contact}.instance_id, ${contact}.chat_id, ${toShownText(`${contact}.external_ref`)} as external_ref,
    ${toToldVersion("h.from_version", "h.from_sha256")} as from_version, ${toToldVersion("h.to_version", "h.to_sha256")} as to_version, h.seen_at, a.url, a.url_expires_at,
    encode(h.from_sha256, 'hex') as from_image_sha256,
    exists (select from avatars.images i where i.sha256 = h.from_sha256) as from_image_kept, g.width is not null as image_kept,
    ${toImageUrlSql("h.contact_id")} as image_url,
    encode(h.to_sha256, 'hex') as image_sha256, g.width as image_width, g.height as image_height,
    case when a.image_sha256 = h.to_sha256 then a.image_at end as image_at, false as image_old`;
}

/** A version that says nothing, and no image of it: that there was a picture is all that is known. */
function toToldVersion(version: string, sha256: string): string {
  return `case when ${version} is not null then coalesce(${toShownVersion(version, sha256)}, 'unknown') end`;
}

/** What the columns need behind `h`: the image of the change, while it is kept, and the installation. */
export const changeJoinsSql = `left join lateral (
    select i.width, i.height from avatars.images i where i.sha256 = h.to_sha256 limit 1
  ) g on true
  ${installationJoinSql}`;

export function toChange(row: ChangeRow): AvatarChange {
  return {
    id: Number(row.id),
    instanceId: row.instance_id,
    chatId: row.chat_id,
    externalRef: row.external_ref ?? undefined,
    from: row.from_version ?? undefined,
    to: row.to_version ?? undefined,
    at: row.seen_at,
    url: row.url ?? undefined,
    urlExpiresAt: row.url_expires_at ?? undefined,
    fromImageSha256: row.from_image_sha256 ?? undefined,
    fromImageKept: row.from_image_kept,
    image: toContactImage(row),
    imageKept: row.image_kept,
  };
}
