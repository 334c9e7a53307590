import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { parseChatId } from "../../src/domain/chat-id.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { migrateLedger } from "../../src/store/postgres/migrate.ts";
import { runAsAdmin } from "../support/run-as-admin.ts";

/** Texts around valid ids: their parts, in any order, with what people and programs put between them. */
const digits = fc.stringMatching(/^\d{1,26}$/);
const server = fc.constantFrom(
  "c.us",
  "s.whatsapp.net",
  "whatsapp.net",
  "g.us",
  "lid",
  "newsletter",
  "broadcast",
);
const noise = fc.constantFrom(
  ..."+-.,_:()@ \t\n\v\f\r'\"\\/#%?*^$|[]{}".split(""),
  ..."\u00a0\u1680\u2000\u2003\u200a\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u202f\u205f\u2060\u3000\ufeff".split(
    "",
  ),
  // Digits that are none here, letters whose small form is ASCII in some locale only, and what is outside the BMP.
  ..."\u0661\uff17\u0130\u0131\u212a\u017f\u00df\u0085\u180e\u2010".split(""),
  "😀",
  "",
);
const someNoise = fc.oneof({ weight: 2, arbitrary: fc.constant([""]) }, fc.array(noise, { maxLength: 2 }));
const part = fc.oneof(
  { weight: 3, arbitrary: digits },
  noise,
  server,
  fc.string({ maxLength: 4, unit: "binary" }),
);
const nearly = fc
  .tuple(
    someNoise,
    fc.constantFrom("", "", "", "+", "++", " +"),
    fc.oneof(digits, fc.stringMatching(/^[1-9]\d{4,14}$/), fc.stringMatching(/^[1-9]\d{9,11}$/)),
    fc.constantFrom("", "-", ".", "(", ") ", "\u00a0"),
    fc.oneof({ weight: 2, arbitrary: fc.constant("") }, digits),
    fc.constantFrom("", "", "", "", "", ":3", ".0:3", "_1:12", ".0", ".12", ":", ":x", ".1234:5", ":1:2"),
    fc.constantFrom("@", "@", "@", "@", " @ ", "@@", "", "@c.us@"),
    server,
    fc.func(fc.boolean()),
    someNoise,
  )
  .map(([before, plus, a, between, b, device, at, host, isUpper, after]) => {
    const spelled = host
      .split("")
      .map((char, index) => (isUpper(char, index) ? char.toUpperCase() : char))
      .join("");
    return [...before, plus, a, between, b, device, at, spelled, ...after].join("");
  });
const dottedI = fc
  .constantFrom("@L\u0130D", "@l\u0131d", "@C.U\u017f", "@S.WHAT\u017fAPP.NET")
  .map((host) => `79001234567${host}`);
const text = fc
  .oneof(
    { weight: 6, arbitrary: nearly },
    { weight: 2, arbitrary: fc.array(part, { maxLength: 8 }).map((parts) => parts.join("")) },
    { weight: 1, arbitrary: dottedI },
  )
  // What Postgres' text cannot hold never gets there.
  .map((any) => any.replaceAll("\0", "").toWellFormed());

/** How the database spells letters decides what `lower` does. */
const locales = [
  ["the server's own", "template template0"],
  ["C", "template template0 lc_collate 'C' lc_ctype 'C'"],
  [
    "C.UTF-8 of Postgres",
    "template template0 locale_provider builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C'",
  ],
  ["ICU, Turkish", "template template0 locale_provider icu icu_locale 'tr-TR' lc_collate 'C' lc_ctype 'C'"],
] as const;

describe.each(locales)("in a database whose locale is %s, avatars.canonical_chat_id", (_, options) => {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  let database: Database;

  beforeAll(async () => {
    await runAsAdmin(`create database ${name} ${options}`);
    const url = new URL(inject("adminUrl"));
    url.pathname = `/${name}`;
    database = await openDatabase({ url: url.href, maxConnections: 2 });
    await migrateLedger(database.pool);
  });
  afterAll(async () => {
    await database.close();
    await runAsAdmin(`drop database if exists ${name} with (force)`);
  });

  test("agrees with parseChatId on any text, null where that finds no id", async () => {
    const texts = fc.sample(text, 6_000);
    const { rows } = await database.pool.query<{ id: string | null }>(
      "select avatars.canonical_chat_id(t) as id from unnest($1::text[]) with ordinality as u (t, n) order by n",
      [texts],
    );
    const parsed = texts.map((given) => parseChatId(given));
    const expected = parsed.map((parse) => (parse.ok ? parse.chatId : null));
    const differences = texts.flatMap((given, index) =>
      expected[index] === rows[index]?.id
        ? []
        : [{ given, sql: rows[index]?.id, typescript: expected[index] }],
    );
    expect(differences).toEqual([]);
    // Texts that are all refused would prove little.
    expect(parsed.filter(({ ok }) => ok).length).toBeGreaterThan(300);
  });

  test("leaves a canonical id as it is, and null null", async () => {
    const { rows } = await database.pool.query(
      `select avatars.canonical_chat_id('79001234567@c.us') as a, avatars.canonical_chat_id('120363043968066561@g.us') as b,
         avatars.canonical_chat_id('123456789012345@lid') as c, avatars.canonical_chat_id(null) as d`,
    );
    expect(rows).toEqual([
      { a: "79001234567@c.us", b: "120363043968066561@g.us", c: "123456789012345@lid", d: null },
    ]);
  });
});
