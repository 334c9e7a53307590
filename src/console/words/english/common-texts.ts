/** The words around all pages. */
export const frameTexts = {
  product: "contact-avatars",
  console: "Console",
  durations: { day: "d", hour: "h", minute: "min", second: "s" },
  skip: "Skip to the content",
  menu: "Menu",
  pages: {
    overview: "Overview",
    batches: "Batches",
    contact: "Contact",
    gallery: "Gallery",
    nights: "Nights",
    webhooks: "Webhooks",
    keys: "API keys",
    audit: "Audit log",
    instance: "Instance",
  },
  link: { live: "Live", lost: "Reconnecting…", waiting: "Connecting…" },
  lost: (since: string) =>
    `The server has not answered since ${since}. What you see is from before; calls and deliveries of other processes go on. The page comes back by itself.`,
  away: {
    postgres: (since: string) =>
      `Postgres has not answered since ${since}. What you see is from before, and nothing can be changed or taken in; nothing that was accepted is lost. The page comes back by itself.`,
    queue: (since: string) =>
      `The queue (Redis) has not answered since ${since}. Contacts are taken in all the same; calls begin some seconds later. Nothing need be done here.`,
  },
} as const;

/** Words that many pages have. */
export const commonTexts = {
  loading: "Loading…",
  notFound: "There is nothing at this address.",
  back: "Back to the overview",
  cancel: "Cancel",
  close: "Close",
  save: "Save",
  saved: "Saved.",
  none: "–",
  all: "All",
  any: "Any",
  more: "Load more",
  instance: "Instance",
  retrying: "Trying again…",
  docs: "API documentation",
  defaultValue: "default",
  copy: "Copy",
  stored: "I have kept it",
} as const;

/** Masked numbers, and whole ones. */
export const revealTexts = {
  show: "Show numbers",
  hide: "Hide numbers",
  hint: "Showing numbers is noted in the audit log, with your key.",
} as const;

/** Why something did not work. */
export const errorTexts = {
  noAnswer: "The server does not answer.",
  forbidden: (detail: string) => `Your key does not allow this: ${detail}.`,
  other: (detail: string) => detail || "Something went wrong.",
} as const;
