/** Contacts of one instance that are being asked in this process: from their call until their record is saved, or dropped. */
export interface AskedContacts {
  readonly size: number;
  /** Should a look that began before `settle` leave the contact out? */
  has(contactId: number): boolean;
  /** Is it being asked? */
  holds(contactId: number): boolean;
  /** @param epoch the lease under which it is asked */
  add(contactId: number, epoch: number): void;
  /** The contact is as its row says from now on. Harmless where it is not asked. */
  settle(contactId: number): void;
  list(): number[];
  /** Those that are asked under this lease. An earlier one has marked its own when it was handed over. */
  listUnder(epoch: number): number[];
  /** A look at the queues begins. Returns what ends it. */
  look(): () => void;
}

/**
 * A look that was under way when a record was saved may still have found the contact as it was before. So contacts that are
 * settled during a look are left out of what it finds.
 */
export function createAskedContacts(): AskedContacts {
  /** The lease of each. */
  const asked = new Map<number, number>();
  const settledMeanwhile = new Set<number>();
  let looks = 0;
  return {
    get size() {
      return asked.size;
    },
    has: (contactId) => asked.has(contactId) || settledMeanwhile.has(contactId),
    holds: (contactId) => asked.has(contactId),
    add(contactId, epoch) {
      asked.set(contactId, epoch);
    },
    settle(contactId) {
      if (asked.delete(contactId) && looks > 0) settledMeanwhile.add(contactId);
    },
    list: () => [...asked.keys()],
    listUnder: (epoch) => [...asked].flatMap(([contactId, under]) => (under === epoch ? [contactId] : [])),
    look() {
      looks += 1;
      return () => {
        looks -= 1;
        if (looks === 0) settledMeanwhile.clear();
      };
    },
  };
}
