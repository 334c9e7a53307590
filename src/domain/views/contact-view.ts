import type { ChatId } from "../chat-id.ts";
import type { ContactStatus } from "../contact-status.ts";
import type { ContactImage } from "./contact-image.ts";
import type { InstanceId } from "../instance-id.ts";

/** A contact with all that is known of it. */
export interface ContactView {
  readonly contactId: number;
  readonly instanceId: InstanceId;
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  readonly status: ContactStatus;
  readonly avatar: AvatarView | undefined;
  readonly image: ContactImage;
  /** True: a request waits for an answer. */
  readonly pending: boolean;
  readonly priority: number;
  /** The moment of its next call, or of its refresh by the policy; undefined: the next request decides. */
  readonly dueAt: Date | undefined;
  /** The moment when the call behind the current clear answer was sent. */
  readonly checkedAt: Date | undefined;
  /** Calls spent since the last request for it. */
  readonly attempts: number;
  readonly lastError: string | undefined;
  readonly createdAt: Date;
}

/** The last good avatar. */
export interface AvatarView {
  /** The URL as the provider gave it; undefined: there is no picture, or it came without a URL. */
  readonly url: string | undefined;
  readonly urlExpiresAt: Date | undefined;
  /** A mark that all URLs of one picture share; undefined: there is no picture, or its host tells none from another. */
  readonly version: string | undefined;
  /** The moment when the call that first saw this picture was sent, or that there is none. */
  readonly changedAt: Date;
  /** The moment when the call that last saw it was sent. */
  readonly seenAt: Date;
}

/** A change of an avatar, as the call that saw it told. */
export interface AvatarChange {
  /** The place in the feed, ascending. */
  readonly id: number;
  readonly instanceId: InstanceId;
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  /** Versions; undefined: no picture, or none known before. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** The moment when the call that saw the change was sent. */
  readonly at: Date;
  /** The URL of `to`, while it is still the current one. */
  readonly url: string | undefined;
  readonly urlExpiresAt: Date | undefined;
  /** The hash of the image before; undefined: none was taken. */
  readonly fromImageSha256: string | undefined;
  /** The bytes of the image before are still kept. */
  readonly fromImageKept: boolean;
  /** The image since, at the contact's address; its hash is undefined where none was taken. */
  readonly image: ContactImage;
  /** The bytes of the image since are still kept. */
  readonly imageKept: boolean;
}

/** A page of the feed of changes, and where to read on. */
export interface ChangePage {
  readonly items: readonly AvatarChange[];
  /** The place to read on from, which moves also over changes of other instances. */
  readonly next: number;
  /** True: there may be more at once. */
  readonly isMore: boolean;
}
