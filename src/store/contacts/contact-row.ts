import type { ChatId } from "../../domain/chat-id.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { AvatarView, ContactView } from "../../domain/views/contact-view.ts";
import { imageJoinsSql, toContactImage, toImageColumns, type ImageRow } from "../images/image-columns-sql.ts";
import { toShownText } from "../postgres/shown-text-sql.ts";
import { shownVersion } from "../postgres/version-sql.ts";

/** The columns of a {@link ContactRow}, of a contact `c` and its avatar `a`. They need {@link contactJoinsSql} behind `c`. */
export const contactColumnsSql = `c.id, c.instance_id, c.chat_id, ${toShownText("c.external_ref")} as external_ref, c.status, c.priority,
    c.wanted_at is not null as pending, coalesce(c.due_at, c.refresh_at) as due_at, c.checked_at, c.attempts, c.last_error, c.created_at,
    a.contact_id is not null as has_avatar, a.url, a.url_expires_at, ${shownVersion} as version, a.changed_at, a.seen_at,
    ${toImageColumns("c.id")}`;

/** The avatar and the image of a contact `c`. */
export const contactJoinsSql = `left join avatars.avatars a on a.contact_id = c.id
  ${imageJoinsSql}`;

/** A contact as the driver gives it. */
export type ContactRow = ImageRow & {
  id: string;
  instance_id: InstanceId;
  chat_id: ChatId;
  external_ref: string | null;
  status: ContactStatus;
  priority: number;
  pending: boolean;
  due_at: Date | null;
  checked_at: Date | null;
  attempts: number;
  last_error: string | null;
  created_at: Date;
} & (
    | {
        has_avatar: true;
        url: string | null;
        url_expires_at: Date | null;
        version: string | null;
        changed_at: Date;
        seen_at: Date;
      }
    | { has_avatar: false }
  );

export function toContactView(row: ContactRow): ContactView {
  return {
    contactId: Number(row.id),
    instanceId: row.instance_id,
    chatId: row.chat_id,
    externalRef: row.external_ref ?? undefined,
    status: row.status,
    avatar: toAvatar(row),
    image: toContactImage(row),
    pending: row.pending,
    priority: row.priority,
    dueAt: row.due_at ?? undefined,
    checkedAt: row.checked_at ?? undefined,
    attempts: row.attempts,
    lastError: row.last_error ?? undefined,
    createdAt: row.created_at,
  };
}

function toAvatar(row: ContactRow): AvatarView | undefined {
  if (!row.has_avatar) return undefined;
  return {
    url: row.url ?? undefined,
    urlExpiresAt: row.url_expires_at ?? undefined,
    version: row.version ?? undefined,
    changedAt: row.changed_at,
    seenAt: row.seen_at,
  };
}
