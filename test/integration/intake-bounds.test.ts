import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasAtMost, intakeBounds } from "../../src/domain/intake-bounds.ts";
import { parseRequest } from "../../src/intake/parse-request.ts";
import { createProducer } from "../../src/producer/create-producer.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { readBody, readUntil } from "../support/api-call.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
  await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
});
afterAll(() => stage.close());

let chats = 0;
function newChat(): string {
  chats += 1;
  return makeChats(1, chats)[0]!;
}

interface Wish {
  readonly label?: string;
  readonly externalRef?: string;
  readonly maxAgeS?: number;
}

/** Each way in; resolves with whether it takes the wish. */
const ways: Readonly<Record<string, (wish: Wish) => Promise<boolean>>> = {
  async sql({ label, externalRef, maxAgeS }) {
    return works(
      stage.database.pool.query(
        `select avatars.enqueue($1, array[$2], label => $3, external_refs => array[$4::text],
           max_age => make_interval(secs => $5::float8))`,
        [instanceId, newChat(), label, externalRef, maxAgeS ?? 60],
      ),
    );
  },
  async producer({ label, externalRef, maxAgeS }) {
    const contacts = [{ chatId: newChat(), externalRef }];
    return works(
      createProducer(stage.database.pool).enqueue({ instanceId, contacts, label, maxAge: maxAgeS }),
    );
  },
  async bullmq({ label, externalRef, maxAgeS: maxAge }) {
    return works(
      (async () => parseRequest({ instanceId, chatIds: [newChat()], label, externalRef, maxAge }))(),
    );
  },
  async json({ label, externalRef, maxAgeS: maxAge }) {
    const contacts = [{ chatId: newChat(), externalRef }];
    const { status } = await stage.call("/v1/batches", {
      method: "POST",
      json: { instanceId, contacts, label, maxAge },
    });
    return status === 202;
  },
  async stream({ label, externalRef, maxAgeS }) {
    const query = new URLSearchParams({ instanceId, strict: "true" });
    if (label !== undefined) query.set("label", label);
    if (maxAgeS !== undefined) query.set("maxAge", String(maxAgeS));
    const { status } = await stage.call(`/v1/batches?${query.toString()}`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: `${JSON.stringify({ chat_id: newChat(), external_ref: externalRef })}\n`,
    });
    return status === 202;
  },
};

async function works(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}

const texts = (most: number) => [
  ["as long as may be", "x".repeat(most), true],
  ["one character longer", "x".repeat(most + 1), false],
  ["as long, outside of the first plane", "😀".repeat(most), true],
  ["longer, outside of it", "😀".repeat(most + 1), false],
];

describe.each(Object.keys(ways))("by %s", (way) => {
  test.each([
    ...texts(intakeBounds.label).map(([what, label, isTaken]) => [`a label ${what}`, { label }, isTaken]),
    ...texts(intakeBounds.externalRef).map(([what, externalRef, isTaken]) => [
      `an external ref ${what}`,
      { externalRef },
      isTaken,
    ]),
    ["no age", { maxAgeS: 0 }, true],
    ["an age of a century", { maxAgeS: intakeBounds.maxAgeMs / 1000 }, true],
    ["a second more", { maxAgeS: intakeBounds.maxAgeMs / 1000 + 1 }, false],
  ] as [string, Wish, boolean][])("%s", async (_, wish, isTaken) => {
    expect(await ways[way]?.(wish)).toBe(isTaken);
  });
});

/** All that can be read of one contact and its batch. */
async function readAll(batchId: string, chatId: string): Promise<string[]> {
  const contact = `/v1/instances/${instanceId}/contacts/${chatId}`;
  const paths = [
    "/v1/batches?limit=1000",
    `/v1/batches/${batchId}`,
    `/v1/batches/${batchId}/items`,
    `/v1/batches/${batchId}/results.csv`,
    `/v1/batches/${batchId}/results.ndjson`,
    contact,
    `${contact}/history`,
    "/v1/changes",
    "/v1/instances",
    `/v1/instances/${instanceId}`,
    "/v1/resync/plan",
    "/v1/resync/runs",
  ];
  const answers: string[] = [];
  for (const path of paths) {
    const { status, text } = await stage.call(path);
    expect([path, status]).toEqual([path, 200]);
    answers.push(text);
  }
  const lookup = { instanceId, chatIds: [chatId] };
  const found = await stage.call("/v1/contacts/lookup", { method: "POST", json: lookup });
  expect(found.status).toBe(200);
  const events = await stage.open(`/v1/batches/${batchId}/events`);
  expect((await readUntil(events, /event: [^]*\n\n/)).toString()).toContain("event: ");
  expect(stage.failures).toEqual([]);
  return [...answers, found.text];
}

async function enqueue(values: string, chatId = newChat()): Promise<string> {
  const { rows } = await stage.database.pool.query<{ id: string }>(
    `select avatars.enqueue($1, array[$2] ${values}) as id`,
    [instanceId, chatId],
  );
  return rows[0]!.id;
}

describe("what avatars.enqueue accepts, every endpoint can read:", () => {
  test.each([
    "max_age => '36600 days'",
    "max_age => '100 years'",
    "max_age => '1200 months'",
    "max_age => '878400 hours'",
    "max_age => '1 microsecond'",
    "max_age => '0', priority => 0",
    "label => ''",
    "label => repeat('ß', 200)",
    `label => E'a\\nb\\tc\\x7f', external_refs => array[E'=1+1"\\n,']`,
    "external_refs => array['']",
    "external_refs => array[null::text]",
  ])("%s", async (values) => {
    const chatId = newChat();
    await readAll(await enqueue(`, ${values}`, chatId), chatId);
  });
});

describe("avatars.enqueue refuses", () => {
  test.each([
    ["max_age => 'infinity'", "max_age must be a time from 0 to 100 years"],
    ["max_age => '2100 years'", "max_age must be a time from 0 to 100 years"],
    ["max_age => '6000 years'", "max_age must be a time from 0 to 100 years"],
    ["max_age => '101 years'", "max_age must be a time from 0 to 100 years"],
    ["max_age => '878401 hours'", "max_age must be a time from 0 to 100 years"],
    // Not negative where a month has 30 days, and yet in the future: its contacts would be asked again and again until then.
    ["max_age => '-100 years 36000 days'", "max_age must be a time from 0 to 100 years"],
    ["max_age => '-infinity'", "max_age must not be null or negative"],
    ["label => repeat('x', 5000000)", "label has 5000000 characters, and may have up to 200"],
    ["external_refs => array[repeat('x', 5000000)]", "external_refs: element 1 has more than 200 characters"],
  ])("%s", async (values, message) => {
    await expect(enqueue(`, ${values}`)).rejects.toMatchObject({
      code: "22023",
      message: expect.stringContaining(message),
    });
  });

  test("more chat ids than one call may have, and texts that are too long for one", async () => {
    const { pool } = stage.database;
    const many = "array_fill('79000000001@c.us'::text, array[1000001])";
    await expect(pool.query(`select avatars.enqueue('${instanceId}', ${many})`)).rejects.toMatchObject({
      code: "22023",
      message: "chat_ids has 1000001 elements, and may have up to 1000000",
    });
    const padded = "repeat(' ', 1000) || '79000000001@c.us'";
    await expect(pool.query(`select avatars.enqueue('${instanceId}', array[${padded}])`)).rejects.toThrow(
      /^not a chat id/,
    );
    await expect(
      pool.query(`select avatars.enqueue(repeat('9', 5000000), array['1@c.us'])`),
    ).rejects.toMatchObject({ message: `unknown instance '${"9".repeat(60)}'` });
  });
});

describe("rows of older versions", () => {
  const beyond = ["infinity", "-infinity", "294276-12-31", "10000-01-01", "4713-01-01 BC", "0001-01-01 BC"];

  test.each(beyond)("with the moment %s are told", async (moment) => {
    const { pool } = stage.database;
    const chatId = newChat();
    const id = await enqueue("", chatId);
    await pool.query("update avatars.batches set fresh_after = $2 where id = $1", [id, moment]);
    await pool.query(
      `update avatars.contacts set fresh_after = $2, checked_at = $2, refresh_at = $2, due_at = $2, created_at = $2
       where chat_id = $1`,
      [chatId, moment],
    );
    await pool.query(
      `insert into avatars.avatars (contact_id, url, url_expires_at, version, changed_at, seen_at)
       select id, 'https://pps.whatsapp.net/a', $2, '/a', $2, $2 from avatars.contacts where chat_id = $1`,
      [chatId, moment],
    );
    await pool.query("update avatars.instances set held_until = $1, state_seen_at = $1", [moment]);
    const answers = await readAll(id, chatId);
    const isEarly = moment.startsWith("-") || moment.endsWith("BC");
    const { freshAfter } = JSON.parse(answers[1]!) as { freshAfter: string };
    expect(freshAfter).toBe(isEarly ? "0001-01-01T00:00:00.000Z" : "9999-12-31T23:59:59.999Z");
    await pool.query("update avatars.instances set held_until = null, state_seen_at = null");
    await pool.query("delete from avatars.contacts where chat_id = $1", [chatId]);
  });

  test("with labels and refs of 5 MB are told as far as somebody can read them", async () => {
    const { pool } = stage.database;
    const chatId = newChat();
    const id = await enqueue("", chatId);
    await pool.query("update avatars.batches set label = repeat('ü', 5000000) where id = $1", [id]);
    await pool.query("update avatars.contacts set external_ref = repeat('ü', 5000000) where chat_id = $1", [
      chatId,
    ]);
    for (const answer of await readAll(id, chatId)) expect(answer.length).toBeLessThan(200_000);
    const items = await readBody(await stage.open(`/v1/batches/${id}/items`));
    expect(items.toString()).toContain(`"externalRef":"${"ü".repeat(2_000)}"`);
  });
});

test("characters are counted as Postgres counts them", async () => {
  for (const text of ["", "a", "😀", "a😀", "👩‍👩‍👧", "e\u0301"]) {
    const { rows } = await stage.database.pool.query<{ n: number }>("select length($1)::int as n", [text]);
    const { n } = rows[0]!;
    expect([text, hasAtMost(text, n), n > 0 && hasAtMost(text, n - 1)]).toEqual([text, true, false]);
  }
});
