import type { Contact, ContactDetail } from "../../../client/wire.ts";

type MissingReason = NonNullable<Contact["missing"]>["reason"];
type StopReason = NonNullable<ContactDetail["next"]["stopped"]>["reason"];

/** Why there is no picture, for a person who misses one. */
const missingTexts: Readonly<Record<MissingReason, readonly [why: string, detail: string]>> = {
  "not-asked": ["Not asked yet", "No call has been made for this contact. Below is when it is its turn."],
  "no-picture": [
    "There is none",
    "The contact has not set a picture, or has no WhatsApp account. WhatsApp answers both alike.",
  ],
  hidden: ["Hidden from us", "The contact's privacy settings hide the picture from this account."],
  "no-such-chat": ["Not a WhatsApp chat", "The provider does not accept this number as a chat."],
  "no-answer": [
    "No clear answer",
    "The provider was asked and gave no clear answer. That says nothing of the picture.",
  ],
  "url-expired": [
    "Its address has expired",
    "There is a picture, and no copy of it is kept here. Ask again for a new address.",
  ],
  "not-kept": [
    "No copy of it is kept",
    "There is a picture, which came without an address, and its copy is not there (yet).",
  ],
};

/** The words on one contact. */
export const contactTexts = {
  answer: "Picture",
  there: "It is there",
  thereDetail: "This is the picture that the contact shows.",
  oldDetail: "This is the last one that was seen. The contact may show another one by now, or none to us.",
  missing: missingTexts,
  imageStates: {
    kept: "",
    wanted: "The picture is being fetched.",
    wantedAgain: (why: string, attempts: string, when: string) =>
      `The picture could not be fetched: ${why}. Tried ${attempts}, again ${when}.`,
    refused: (why: string) => `The newest picture cannot be shown: ${why}.`,
    none: "",
    off: "No pictures are kept here: AVATARS_IMAGES says where they are.",
  },
  times: (count: number, formatted: string) => (count === 1 ? "once" : `${formatted} times`),
  /** Why an image could not be taken, by its code; another code is shown as it is. */
  imageErrors: {
    "not-tried": "not tried yet",
    expired: "its address had expired",
    gone: "it is gone from its host",
    forbidden: "its host refuses it",
    deadline: "its host took too long",
    connection: "its host was not reached",
    "server-error": "its host has a fault",
    throttled: "its host asks to wait",
    "unexpected-status": "its host answered otherwise than expected",
    "too-large": "it has more than 5 MiB",
    "too-many-pixels": "it has too many pixels",
    "host-not-allowed": "its host is not among AVATARS_IMAGE_HOSTS",
    "not-https": "its address is not https, and its host is not among AVATARS_IMAGE_HOSTS",
    "private-address": "its host has a private address, and is not among AVATARS_IMAGE_HOSTS",
  } as Readonly<Record<string, string>>,
  facts: {
    status: "Last answer",
    checked: "Asked last",
    changed: "Shown since",
    seen: "Seen last",
    ref: "Your id",
    created: "Known since",
  },
  next: "Next call",
  reasons: {
    asked: "It has been asked for, and waits for its turn.",
    retry: "The last call had no clear answer. It is tried again.",
    resync: "A night asks for it.",
    requested: "A person asked for it to be looked at again.",
    "never-asked": "It has never been asked.",
    "expiring-url": "By then its address at WhatsApp is about to expire.",
    age: "By then its answer is old enough to be looked at again.",
    unlisted: "It is gone from the source's list: it is asked only when a request comes.",
    "request-only": "It is asked only when a request comes.",
  },
  due: "Due",
  dueAt: (moment: string, relative: string) => `${moment} (${relative})`,
  onRequest: "With the next request",
  priority: "Priority",
  priorities: ["Before all others", "Import", "When there is time"],
  resting: "Rests until then",
  interval: "Looked at every",
  attempts: "Calls since it was asked for",
  lastError: "Last error",
  stopped: {
    paused: "Its instance is paused: it is not called until a person resumes it.",
    held: "Its instance is held because of trouble.",
    quiet: "Its instance has quiet hours.",
    capped: "Its instance has used up the calls of the day.",
  } satisfies Readonly<Record<StopReason, string>>,
  until: (when: string) => `Until ${when}.`,
  history: "History",
  noHistory: "No picture was ever seen.",
  changes: {
    first: "First picture seen",
    other: "Another picture",
    removed: "Picture removed",
  },
  before: "Picture before",
  after: "Picture since",
  noPicture: "No picture",
  notKept: "No longer kept",
  refresh: "Ask now",
  refreshing: "Asking…",
  refreshed: (answer: string) => `Asked. The answer: ${answer}.`,
  refreshWaits: "It is asked before all others. The answer is not there yet.",
  refreshStopped: (why: string) => `It is asked as soon as its instance is called again. ${why}`,
  erase: "Erase",
  eraseQuestion:
    "The contact goes from all tables, with its picture, its history and all that waits for it. It cannot be undone.",
  erased: "Erased.",
} as const;

/** The words of the page of thumbnails. */
export const galleryTexts = {
  statuses: "Status",
  changed: "Picture changed",
  periods: { "": "At any time", today: "Today", week: "In the last 7 days" },
  orMore: (count: string) => `${count}+`,
  shown: (count: string) => `${count} shown`,
  shownAll: (count: string) => `${count} shown, these are all`,
  empty: "No contact is here",
  emptyHint: "Another status, another instance or another time may have some.",
  emptyAll: "No contacts yet",
  emptyAllHint: "Upload a file under Batches, or send contacts to the API.",
  list: "Contacts",
} as const;
