import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AvatarChange } from "../../src/domain/views/contact-view.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { eraseContact } from "../../src/store/contacts/erase-contact.ts";
import { createChangeReader, type ChangeReader } from "../../src/store/changes/read-changes.ts";
import { acceptContacts, addInstance, hashErased, readContacts, toChatId } from "../support/ledger.ts";
import { eventually } from "../support/eventually.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let instanceId: InstanceId;
/** Where the feed of the test begins. */
let start: number;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());
beforeEach(async () => {
  instanceId = await addInstance(database);
  start = (await readCommitted(0)).at(-1) ?? 0;
});

/** What was known to be final stays fresh, however slow the machine is. */
const stillClock = { now: () => 0 };

async function addContacts(count: number, id = instanceId): Promise<number[]> {
  const chatIds = Array.from({ length: count }, (_, index) => toChatId(index));
  await acceptContacts(database.pool, id, chatIds);
  return (await readContacts(database.pool, id)).map((contact) => contact.id);
}

/** As a save does. */
async function change(client: pg.Pool | pg.PoolClient, contactId: number, version: string): Promise<void> {
  await client.query(
    `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     values ($1, 'https://pps.whatsapp.net' || $2::text, $2, now(), now())
     on conflict (contact_id) do update set url = excluded.url, version = excluded.version`,
    [contactId, version],
  );
}

/** The ids of all changes there are. */
async function readCommitted(after: number): Promise<number[]> {
  const { rows } = await database.pool.query<{ id: string }>(
    "select id from avatars.avatar_changes where id > $1 order by id",
    [after],
  );
  return rows.map((row) => Number(row.id));
}

async function readToEnd(read: ChangeReader, after: number, limit = 100): Promise<AvatarChange[]> {
  const items: AvatarChange[] = [];
  for (let next = after; ;) {
    const page = await read(undefined, next, limit);
    items.push(...page.items);
    if (page.next === next) return items;
    next = page.next;
  }
}

async function inOpenTransaction<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    return await work(client);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

/** Somebody waits for the lock that makes the feed final. */
const waitForReader = async () =>
  eventually(async () => {
    const { rows } = await database.pool.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (rows.length === 0) throw new Error("nobody waits");
  });

/** On a busy machine writers may take longer than readers are to wait. */
const patient = { lockTimeoutMs: 60_000 };

/** 0 to 4, in no order that anybody could follow. */
const scatter = (a: number, b: number) => (a * 7 + b * 3) % 5;

const toIds = (items: readonly AvatarChange[]) => items.map(({ id }) => id);

describe("the feed of changes", () => {
  test("tells who changed from what to what, oldest first, with the URL of what is still current", async () => {
    const [first = 0, second = 0] = await addContacts(2);
    await change(database.pool, first, "/a.jpg");
    await change(database.pool, second, "/b.jpg");
    await change(database.pool, first, "/c.jpg");
    const { items, next } = await createChangeReader(database.pool)(undefined, start, 10);
    const at = { instanceId, externalRef: undefined, urlExpiresAt: undefined };
    expect(items).toMatchObject([
      { ...at, chatId: toChatId(0), from: undefined, to: "/a.jpg", url: undefined },
      { ...at, chatId: toChatId(1), from: undefined, to: "/b.jpg", url: "https://pps.whatsapp.net/b.jpg" },
      { ...at, chatId: toChatId(0), from: "/a.jpg", to: "/c.jpg", url: "https://pps.whatsapp.net/c.jpg" },
    ]);
    expect(next).toBe(items.at(-1)?.id);
  });

  test("goes on from where a page ended, also for another reader, and stays at its end", async () => {
    const contactIds = await addContacts(5);
    for (const contactId of contactIds) await change(database.pool, contactId, "/a.jpg");
    const first = await createChangeReader(database.pool)(undefined, start, 3);
    expect(first).toMatchObject({ isMore: true });
    const read = createChangeReader(database.pool, stillClock);
    const second = await read(undefined, first.next, 3);
    expect(second.isMore).toBe(false);
    expect(toIds([...first.items, ...second.items])).toEqual(await readCommitted(start));
    expect(await read(undefined, second.next, 3)).toEqual({ items: [], next: second.next, isMore: false });
  });

  test("does not go back from a cursor beyond all there ever was", async () => {
    const read = createChangeReader(database.pool);
    expect(await read(undefined, 2 ** 52, 10)).toEqual({ items: [], next: 2 ** 52, isMore: false });
  });

  test("waits for a change that took its place earlier and is committed later", async () => {
    const [early = 0, late = 0] = await addContacts(2);
    const read = createChangeReader(database.pool, patient);
    const reading = await inOpenTransaction(async (client) => {
      await change(client, early, "/a.jpg");
      await change(database.pool, late, "/a.jpg");
      const page = read(undefined, start, 10);
      await waitForReader();
      await client.query("commit");
      return page;
    });
    expect(reading.items.map(({ chatId }) => chatId)).toEqual([toChatId(0), toChatId(1)]);
  });

  test("passes over what was rolled back", async () => {
    const [first = 0, second = 0] = await addContacts(2);
    await inOpenTransaction(async (client) => {
      await change(client, first, "/a.jpg");
      await client.query("rollback");
    });
    await change(database.pool, second, "/a.jpg");
    expect(await readToEnd(createChangeReader(database.pool), start)).toMatchObject([
      { chatId: toChatId(1) },
    ]);
  });

  test("passes over what was erased, and does not end there", async () => {
    const [first = 0, second = 0] = await addContacts(2);
    const read = createChangeReader(database.pool, { shareMs: 0 });
    await change(database.pool, first, "/a.jpg");
    await change(database.pool, second, "/a.jpg");
    const { next } = await read(undefined, start, 1);
    await eraseContact(database.pool, hashErased, instanceId, toChatId(1));
    const { next: end } = await read(undefined, next, 1);
    await change(database.pool, first, "/b.jpg");
    expect(await readToEnd(read, end)).toMatchObject([{ from: "/a.jpg", to: "/b.jpg" }]);
  });
});

describe("reading while others write", () => {
  test("misses nothing, repeats nothing and keeps the order, whatever order they commit in", async () => {
    const writers = 5;
    const rounds = 30;
    const contactIds = await addContacts(writers * 3);
    /** Three contacts of its own, changed in one transaction that stays open for a while, and that fails now and then. */
    async function write(writer: number): Promise<void> {
      const client = await database.pool.connect();
      for (let round = 0; round < rounds; round += 1) {
        await client.query("begin");
        for (let place = 0; place <= scatter(writer, round) % 3; place += 1) {
          await change(client, contactIds[writer * 3 + place] ?? 0, `/${round}.jpg`);
          for (let pause = scatter(place, round + writer); pause > 0; pause -= 1)
            await client.query("select 1");
        }
        await client.query(scatter(round, writer) === 0 ? "rollback" : "commit");
      }
      client.release();
    }

    const items: AvatarChange[] = [];
    const writing = { isOver: false };
    const written = Promise.all(Array.from({ length: writers }, async (_, index) => write(index))).finally(
      () => {
        writing.isOver = true;
      },
    );
    let next = start;
    for (let pages = 0, isMore = true; !writing.isOver || isMore; pages += 1) {
      // After three pages it is as if the process had been started anew.
      const read = createChangeReader(database.pool, { ...patient, shareMs: 0 });
      for (let page = 0; page < 3; page += 1) {
        const { items: more, next: end } = await read(undefined, next, 1 + (pages % 7));
        items.push(...more);
        isMore = end > next;
        next = end;
      }
    }
    await written;
    items.push(...(await readToEnd(createChangeReader(database.pool), next)));
    expect(toIds(items)).toEqual(await readCommitted(start));
    expect(items.length).toBeGreaterThan(writers * rounds);
  });

  test("keeps writers waiting once, and then leaves them alone for a while, when one of them does not end", async () => {
    const [first = 0, second = 0] = await addContacts(2);
    const clock = { ms: 0 };
    const read = createChangeReader(database.pool, {
      lockTimeoutMs: 50,
      restMs: 10_000,
      now: () => clock.ms,
    });
    await change(database.pool, first, "/a.jpg");
    const { next } = await read(undefined, start, 10);
    clock.ms += 100;
    const readOn = async () => read(undefined, next, 10).catch(isTransient);
    await inOpenTransaction(async (client) => {
      await change(client, first, "/b.jpg");
      expect(await readOn()).toBe(true);
      // What is known to be final is read all the same.
      expect((await read(undefined, start, 10)).items).toHaveLength(1);
      await client.query("commit");
    });
    await change(database.pool, second, "/a.jpg");
    clock.ms += 9_999;
    expect(await readOn()).toBe(true);
    clock.ms += 1;
    expect(await readOn()).toMatchObject({ items: [{ to: "/b.jpg" }, { chatId: toChatId(1) }] });
  });

  test("shares how far the feed is final for a tenth of a second: what is younger comes with the next page", async () => {
    const [first = 0] = await addContacts(1);
    const clock = { ms: 0 };
    const read = createChangeReader(database.pool, { now: () => clock.ms });
    const nothing = { items: [], next: start, isMore: false };
    expect(await read(undefined, start, 10)).toEqual(nothing);
    await change(database.pool, first, "/a.jpg");
    clock.ms += 99;
    expect(await read(undefined, start, 10)).toEqual(nothing);
    clock.ms += 1;
    expect(await read(undefined, start, 10)).toMatchObject({ items: [{ to: "/a.jpg" }] });
  });
});

describe("a feed of some instances", () => {
  test("has none of the others' changes, and moves on past them", async () => {
    const other = await addInstance(database);
    const ours = await addContacts(2);
    const theirs = await addContacts(3, other);
    for (const contactId of [theirs[0], ours[0], theirs[1], ours[1], theirs[2]])
      await change(database.pool, contactId ?? 0, "/a.jpg");
    const read = createChangeReader(database.pool, stillClock);
    const page = await read([instanceId], start, 10);
    expect(page.items.map((item) => item.instanceId)).toEqual([instanceId, instanceId]);
    expect(page).toMatchObject({ next: (await readCommitted(start)).at(-1), isMore: false });
    expect((await read([instanceId], start, 1)).items).toEqual(page.items.slice(0, 1));
    expect((await read([instanceId, other], start, 10)).items).toHaveLength(5);
    expect((await read([], start, 10)).items).toEqual([]);
  });

  test("looks at no more than ten thousand at once, and says that there is more", async () => {
    const other = await addInstance(database);
    await database.pool.query(
      `with added as (
         insert into avatars.contacts (instance_id, chat_id) select $1, n || '@c.us' from generate_series(10001, 20003) n
         returning id
       ) insert into avatars.avatars (contact_id, version, changed_at, seen_at) select id, '/a.jpg', now(), now() from added`,
      [other],
    );
    const [ours = 0] = await addContacts(1);
    await change(database.pool, ours, "/a.jpg");
    const committed = await readCommitted(start);
    const read = createChangeReader(database.pool, stillClock);
    const first = await read([instanceId], start, 10);
    expect(first).toEqual({ items: [], next: committed[9_999], isMore: true });
    const second = await read([instanceId], first.next, 10);
    expect(second).toMatchObject({
      items: [{ id: committed.at(-1) }],
      next: committed.at(-1),
      isMore: false,
    });
  });
});
