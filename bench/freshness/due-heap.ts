/** Contacts by the moment at which they are due: the earliest first. */
export interface DueHeap {
  push(contact: number, dueAtMs: number): void;
  /** The earliest of all moments; Infinity where there is none. */
  firstAtMs(): number;
  /** Takes the contact out that is due first; there must be one. */
  pop(): number;
}

/** A binary heap: for each place, those at twice its number plus one and two are due no earlier. */
export function createDueHeap(): DueHeap {
  const contacts: number[] = [];
  const moments: number[] = [];

  const put = (place: number, contact: number, dueAtMs: number) => {
    contacts[place] = contact;
    moments[place] = dueAtMs;
  };
  const move = (from: number, to: number) => put(to, contacts[from]!, moments[from]!);

  const rise = (start: number, contact: number, dueAtMs: number) => {
    let place = start;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (moments[above]! <= dueAtMs) break;
      move(above, place);
      place = above;
    }
    put(place, contact, dueAtMs);
  };
  const sink = (contact: number, dueAtMs: number) => {
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= contacts.length) break;
      if (below + 1 < contacts.length && moments[below + 1]! < moments[below]!) below += 1;
      if (moments[below]! >= dueAtMs) break;
      move(below, place);
      place = below;
    }
    put(place, contact, dueAtMs);
  };

  return {
    push: (contact, dueAtMs) => rise(contacts.length, contact, dueAtMs),
    firstAtMs: () => moments[0] ?? Infinity,
    pop() {
      const first = contacts[0]!;
      const contact = contacts.pop()!;
      const dueAtMs = moments.pop()!;
      if (contacts.length > 0) sink(contact, dueAtMs);
      return first;
    },
  };
}
