import type { ChatId } from "../../domain/chat-id.ts";
import type { AvatarChange } from "../../domain/views/contact-view.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";

/** A change as the driver gives it: of a row `h` of `avatar_changes`, with its contact, and its avatar `a`. */
export interface ChangeRow {
  id: string;
  instance_id: InstanceId;
  chat_id: ChatId;
  external_ref: string | null;
  from_version: string | null;
  to_version: string | null;
  seen_at: Date;
  url: string | null;
  url_expires_at: Date | null;
}

/**
 * The columns of a {@link ChangeRow}. Its avatar is there only as long as no later change has replaced it.
 * @param contact the alias of a table with the columns of its contact
 */
export function toChangeColumns(contact: string): string {
  return `h.id, ${contact}.instance_id, ${contact}.chat_id, ${toShownText(`${contact}.external_ref`)} as external_ref,
    h.from_version, h.to_version, h.seen_at, a.url, a.url_expires_at`;
}

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
  };
}
