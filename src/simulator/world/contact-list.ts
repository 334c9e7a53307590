import { createRandomOf, type Random } from "../outcomes/random.ts";

/** How many entries of each kind the contact list of an instance has. */
export interface ContactListSize {
  /** `@c.us`; at most 900,000: the last six digits of a number must not ask for an outcome. */
  readonly users: number;
  /** `@g.us` */
  readonly groups: number;
  /** Newsletters, and the broadcast of statuses as the first of them: no contacts for getAvatar. */
  readonly others: number;
}

/** An entry, as getContacts tells it. */
export interface ListedContact {
  readonly id: string;
  /** From the profile; empty where there was no conversation. */
  readonly name: string;
  /** From the phone book; groups have none. */
  readonly contactName?: string;
  readonly type: "user" | "group" | "newsletter" | "broadcast";
}

export const maxListed = 900_000;

/** The contacts of an instance, in an order without order; the same for the same seed. */
export function toContactList(
  seed: number,
  instanceId: string,
  { users, groups, others }: ContactListSize,
): ListedContact[] {
  const random = createRandomOf(`contact list of ${instanceId}`, seed);
  const prefix = 900 + Math.floor(random() * 100);
  const list = [
    ...Array.from({ length: users }, (_, index) => toUser(prefix, index)),
    ...Array.from({ length: groups }, (_, index) => toGroup(prefix, index)),
    ...Array.from({ length: others }, (_, index) => toOther(prefix, index)),
  ];
  shuffle(list, random);
  return list;
}

/** What a query asks for: `group=true` or `group=false`, `count=N`; anything else asks for nothing. */
export function selectContacts(list: readonly ListedContact[], query: URLSearchParams): ListedContact[] {
  const group = query.get("group");
  const count = query.get("count") ?? "";
  const kept = list.filter(({ type }) => {
    if (group === "true") return type === "group";
    return group !== "false" || type === "user";
  });
  return /^\d{1,9}$/.test(count) ? kept.slice(0, Number(count)) : kept;
}

function toUser(prefix: number, index: number): ListedContact {
  const name = index % 3 === 0 ? "" : `Profile ${index}`;
  return { id: `7${prefix}1${pad(index)}@c.us`, name, contactName: `Phone book ${index}`, type: "user" };
}

/** In its newer form, and every other one in the older. */
function toGroup(prefix: number, index: number): ListedContact {
  const id =
    index % 2 === 0 ? `120363${prefix}1${pad(index)}@g.us` : `7${prefix}2${pad(index)}-1581234048@g.us`;
  return { id, name: `Group ${index}`, type: "group" };
}

function toOther(prefix: number, index: number): ListedContact {
  if (index === 0) return { id: "status@broadcast", name: "", type: "broadcast" };
  return { id: `120363${prefix}2${pad(index)}@newsletter`, name: `Channel ${index}`, type: "newsletter" };
}

function pad(index: number): string {
  return String(index).padStart(6, "0");
}

/** Fisher and Yates, in place. */
function shuffle(list: ListedContact[], random: Random): void {
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [list[last], list[other]] = [list[other]!, list[last]!];
  }
}
