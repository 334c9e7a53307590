import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";

/** Something that endpoints may be told of, at its place in the feed. */
export type FeedItem = AvatarItem | BatchItem | InstanceItem | EndpointItem;

interface Place {
  /** Ascending. Of one contact, a later change has a higher one. */
  readonly id: number;
  readonly at: Date;
}

/** A change of an avatar, with its contact as it is when it is read. */
export interface AvatarItem extends Place {
  readonly type: "avatar.changed" | "avatar.removed";
  readonly instanceId: InstanceId;
  readonly contactId: number;
  readonly chatId: string;
  readonly externalRef: string | undefined;
  readonly status: ContactStatus;
  readonly version: string | undefined;
  readonly previousVersion: string | undefined;
  /** The address of the contact's image, of this version where one was taken. */
  readonly imageUrl: string | undefined;
  readonly imageSha256: string | undefined;
  /** The first picture that was ever seen of the contact. */
  readonly isFirst: boolean;
}

export interface BatchItem extends Place {
  readonly type: "batch.finished";
  readonly instanceId: InstanceId;
  readonly batchId: string;
  readonly label: string | undefined;
  readonly accepted: number;
  readonly rejected: number;
  readonly isCancelled: boolean;
}

export interface InstanceItem extends Place {
  readonly type: "instance.held" | "instance.resumed";
  readonly instanceId: InstanceId;
  readonly reason: string | undefined;
}

export interface EndpointItem extends Place {
  readonly type: "endpoint.disabled";
  readonly instanceId: undefined;
  readonly endpointId: string;
  readonly reason: string | undefined;
}

/** A part of the feed. */
export interface FeedPage {
  readonly items: readonly FeedItem[];
  /** The place to read on from. */
  readonly next: number;
}

export function isAvatarItem(item: FeedItem): item is AvatarItem {
  return item.type === "avatar.changed" || item.type === "avatar.removed";
}

/** The contact of an item; undefined: it is about none. */
export function toContactId(item: FeedItem): number | undefined {
  return isAvatarItem(item) ? item.contactId : undefined;
}

/** What would tell of whom an event is, or show the picture, where an answer repeats it. */
export function listPersonal(item: FeedItem): string[] {
  if (!isAvatarItem(item)) return [];
  const { chatId, externalRef, imageUrl, imageSha256, version, previousVersion } = item;
  const number = chatId.split("@", 1)[0];
  const token = imageUrl?.split("/").at(-1);
  const all = [
    chatId,
    number,
    externalRef,
    imageUrl,
    token,
    imageSha256?.slice(0, 16),
    version,
    previousVersion,
  ];
  return all.filter((text) => text !== undefined);
}
