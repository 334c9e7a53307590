import type { ChatId } from "../chat-id.ts";
import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";

/** All that is known of one contact. */
export interface ContactView {
  readonly contactId: number;
  readonly instanceId: InstanceId;
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  readonly status: ContactStatus;
  readonly avatar: AvatarView | undefined;
  /** Somebody waits for an answer. */
  readonly pending: boolean;
  readonly priority: number;
  /** When it is asked next, or is to be by the refresh policy; undefined: when somebody asks for it. */
  readonly dueAt: Date | undefined;
  /** When the call behind the current clear answer was sent. */
  readonly checkedAt: Date | undefined;
  /** Calls spent since it was last asked for. */
  readonly attempts: number;
  readonly lastError: string | undefined;
  readonly createdAt: Date;
}

/** The last good avatar. */
export interface AvatarView {
  /** Undefined: no picture is set. */
  readonly url: string | undefined;
  readonly urlExpiresAt: Date | undefined;
  /** The same for all URLs of one picture; undefined: no picture is set. */
  readonly version: string | undefined;
  /** When the call that first saw this picture was sent, or that none is set. */
  readonly changedAt: Date;
  /** When the call that last saw it was sent. */
  readonly seenAt: Date;
}

/** One change of an avatar, as the call that saw it told. */
export interface AvatarChange {
  /** Ascending; its place in the feed. */
  readonly id: number;
  readonly instanceId: InstanceId;
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  /** Versions; undefined: no picture, or none known before. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** When the call that saw the change was sent. */
  readonly at: Date;
  /** Of `to`, while it is still the current one. */
  readonly url: string | undefined;
  readonly urlExpiresAt: Date | undefined;
}

/** Some changes of the feed, and where to read on. */
export interface ChangePage {
  readonly items: readonly AvatarChange[];
  /** Moves on to what was looked at, also where none of the changes there was asked for. */
  readonly next: number;
  /** There may be more at once. */
  readonly isMore: boolean;
}
