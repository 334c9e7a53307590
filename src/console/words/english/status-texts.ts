import type { ContactStatus } from "../../../domain/contact-status.ts";

/** What is known of a contact's picture. */
export const statusTexts: Readonly<Record<ContactStatus, string>> = {
  present: "Has a picture",
  absent: "No picture",
  hidden: "Hidden",
  invalid: "Not a WhatsApp chat",
  unreachable: "No clear answer",
  unknown: "Not asked yet",
};

/** Where an instance stands. */
export const stateTexts = {
  active: "Active",
  idle: "Idle",
  held: "Held",
  paused: "Paused",
  throttled: "Waits",
  quiet: "Quiet hours",
  capped: "Cap of the day",
  stalled: "No worker",
} as const;
