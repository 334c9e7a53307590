/** What is drawn at random of a contact, each from a stream of its own: so all schedules meet the same changes and URLs. */
export const streams = { rate: 0, change: 1, url: 2 } as const;

export function toStream(contact: number, purpose: number): number {
  return contact * Object.keys(streams).length + purpose;
}
