/** The words of the page of keys. */
export const keyTexts = {
  add: "Make a key",
  list: "All keys",
  made: "The new key. It is shown this once: keep it in a safe place.",
  unnamed: "Without a name",
  states: { active: "Active", expired: "Expired", revoked: "Revoked" },
  never: "never",
  columns: {
    key: "Key",
    state: "State",
    scopes: "May",
    instances: "Instances",
    used: "Last used",
    expires: "Expires",
    actions: "Actions",
  },
  revoke: "Revoke",
  revoked: (name: string) => `${name} is revoked.`,
  revokeQuestion: (name: string) =>
    `${name} opens nothing any more, for ever. Sessions of the console that were begun with it end at once.`,
  label: "Name",
  labelHint: "Who uses it, such as CRM.",
  scopes: {
    enqueue: "ask for avatars",
    read: "see contacts, batches and instances",
    admin: "change instances, erase contacts",
    audit: "see who did what",
    webhooks: "add, change and remove webhooks",
    keys: "make and revoke keys",
  },
  asOwn: (day: string) => `with your own key, on ${day}`,
  lives: [
    ["7", "in 7 days"],
    ["30", "in 30 days"],
    ["90", "in 90 days"],
    ["365", "in a year"],
  ],
} as const;
