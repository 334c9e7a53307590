/** The words on quiet hours and the cap of a day. */
export const careTexts = {
  title: "Care",
  perDay: "Calls a day at most",
  perDayHint: "Counted from when it is set.",
  noCap: "no cap",
  quiet: "Quiet hours",
  quietHint: "No call is sent between them, e.g. 22:00-07:00.",
  noQuiet: "none",
  zone: "Time zone of both",
  zoneHint: "Such as Europe/Berlin.",
  interactive: "A person who waits is answered in quiet hours, too",
  today: "Calls today",
  pauses: { quiet: "Quiet hours: no call is sent.", capped: "The calls of the day are used up." },
  until: (when: string) => `Calls go on at ${when}.`,
} as const;
