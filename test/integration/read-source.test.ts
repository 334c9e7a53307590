import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { IntakeRecord } from "../../src/intake/records/intake-record.ts";
import { UserError } from "../../src/lib/errors.ts";
import { readSource, type SourceOptions } from "../../src/app/read-source.ts";
import { collect } from "../support/collect.ts";
import { openCrm, type Crm } from "../support/crm.ts";
import { eventually } from "../support/eventually.ts";

const tables = `
  create table crm.customers (
    id bigint primary key, phone varchar(40), msisdn bigint, mobile numeric(14,1), name text);
  insert into crm.customers values
    (1, ' +7 900 100-00-01 ', 79001000001, 79001000001.0, 'Maria'), (2, null, null, null, 'O''Hara');
  create function crm.touch() returns text language sql as
    $$ update crm.customers set name = 'touched' where id = 1 returning phone $$;
  create procedure crm.commit_and_touch() language plpgsql as
    $$ begin commit; update crm.customers set name = 'touched'; end $$;
  create function crm.grumble() returns text language plpgsql as
    $$ begin raise exception 'the phone of Maria is 79001000001' using errcode = '42601'; end $$;
  create function crm.grumble_early() returns text immutable language plpgsql as
    $$ begin raise exception 'the phone of Maria is 79001000001' using errcode = '42601'; end $$`;

let crm: Crm;

beforeAll(async () => {
  crm = await openCrm(tables);
});

afterAll(() => crm.close());

function read(query: string, options: Partial<SourceOptions> = {}) {
  return readSource({ url: crm.url, query, fetchMs: 10_000, ...options });
}

async function readAll(query: string, options: Partial<SourceOptions> = {}): Promise<IntakeRecord[]> {
  return (await collect(read(query, options))).flat();
}

async function findFault(query: string, options: Partial<SourceOptions> = {}): Promise<UserError> {
  const error = await readAll(query, options).catch((error: unknown) => error);
  if (!(error instanceof UserError)) throw new Error("no fault of a person's", { cause: error });
  expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toMatch(/hunter2|Maria|O'Hara|7900/);
  expect(error.message).not.toContain("\n");
  expect(error.cause).toBeUndefined();
  return error;
}

/** The URL with some of it changed. */
function urlWith(change: (url: URL) => void): string {
  const url = new URL(crm.url);
  change(url);
  return url.href;
}

const findSessions = () => crm.query(`select state from pg_stat_activity ${crm.sessions}`);

describe("rows", () => {
  test.each([
    ["a bigint", "msisdn"],
    ["a numeric", "mobile"],
    ["a varchar with blanks", "phone"],
    ["a double precision", "msisdn::float8 as number"],
    ["a json string's text", "to_jsonb(phone) ->> 0 as whatsapp"],
    ["an array's first", "(array[msisdn])[1] as tel"],
  ])("hold a contact in %s", async (_what, column) => {
    expect(await readAll(`select id as external_ref, ${column} from crm.customers order by id`)).toEqual([
      { kind: "contact", position: 1, chatId: "79001000001@c.us", externalRef: "1" },
      { kind: "reject", position: 2, text: "2,", reason: "no chat id or phone number" },
    ]);
  });

  test("of nothing but nulls are skipped, but counted", async () => {
    const records = await readAll("values (null, null), ('79001000001', 'a')", { column: "column1" });
    expect(records).toMatchObject([{ kind: "contact", position: 2, chatId: "79001000001@c.us" }]);
  });

  test("let a phone stand in for a missing chat id, and know two columns of one name apart", async () => {
    const records = await readAll(
      `select 'x' as a, c as chat_id, p as phone, 'y' as a
       from (values ('79001000001@c.us', '79001000009'), (null, '79001000002')) as v (c, p)`,
    );
    expect(records).toMatchObject([{ chatId: "79001000001@c.us" }, { chatId: "79001000002@c.us" }]);
  });

  test("of reals are rejected where they were rounded", async () => {
    expect(await readAll("select 79001000001::real as phone")).toMatchObject([
      { kind: "reject", reason: expect.stringContaining("rounded") },
    ]);
  });

  test("come in chunks of at most 1,000, each fetched when the one before was taken", async () => {
    const chunks = read("select 79001000000 + i as phone from generate_series(1, 2000) i")[
      Symbol.asyncIterator
    ]();
    let taken = 0;
    for (let chunk = await chunks.next(); chunk.done !== true; chunk = await chunks.next()) {
      taken += chunk.value.length;
      expect(chunk.value.length).toBeLessThanOrEqual(1_000);
      if (chunk.value.length > 0) expect(await findSessions()).toEqual([{ state: "idle in transaction" }]);
    }
    expect(taken).toBe(2_000);
    await eventually(async () => expect(await findSessions()).toEqual([]));
  });

  test("of a million take no more memory than of a thousand", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    // Other files run in this process.
    setFlagsFromString("--no-expose-gc");
    const heapBytes: number[] = [];
    let count = 0;
    for await (const records of read(
      "select 79000000000 + i as phone, i as ref from generate_series(1, 1000000) i",
    )) {
      count += records.length;
      if (count % 250_000 !== 0 || records.length === 0) continue;
      collectGarbage();
      heapBytes.push(process.memoryUsage().heapUsed);
    }
    expect(count).toBe(1_000_000);
    const [first = 0, ...others] = heapBytes;
    expect(others).toHaveLength(3);
    for (const bytes of others) expect(bytes - first).toBeLessThan(8_000_000);
  });

  test("that are enough end the session when the reader stops", async () => {
    for await (const records of read("select 79001000000 + i as phone from generate_series(1, 5000) i")) {
      expect(records.length).toBeGreaterThan(0);
      break;
    }
    await eventually(async () => expect(await findSessions()).toEqual([]));
  });
});

describe("a source that cannot be read says whose fault it is", () => {
  const good = "select phone from crm.customers";

  test.each<[string, (url: URL) => void, string, RegExp, boolean]>([
    ["the password", (url) => (url.password = "hunter2-no"), "source-credentials", /\(28P01\)/, false],
    ["no password", (url) => (url.password = ""), "source-credentials", /refuses the user/, false],
    [
      "the port",
      (url) => (url.port = "1"),
      "source-unreachable",
      /127\.0\.0\.1:1\/crm_\w+ \(ECONNREFUSED\): check its URL/,
      true,
    ],
    [
      "the host",
      (url) => (url.hostname = "crm.invalid"),
      "source-unreachable",
      /crm\.invalid:\d+\/crm_\w+ \(E\w+\)/,
      true,
    ],
    ["the database", (url) => (url.pathname = "/gone"), "source-database", /\/gone \(3D000\)/, false],
    ["TLS", (url) => url.searchParams.set("sslmode", "verify-full"), "source-tls", /sslmode/, false],
    [
      "a certificate",
      (url) => url.searchParams.set("sslrootcert", "/no"),
      "source-unreachable",
      /ENOENT/,
      true,
    ],
  ])("%s", async (_what, change, code, message, retryable) => {
    const fault = await findFault(good, { url: urlWith(change) });
    expect(fault).toMatchObject({ code, retryable });
    expect(fault.message).toMatch(message);
  });

  test.each([
    ["an unknown column", "select fone from crm.customers", /\(42703\), column "fone" does not exist$/],
    ["an unknown table", "select phone from customers", /\(42P01\), relation "customers" does not exist$/],
    ["no right to read", "select rolpassword as phone from pg_authid", /\(42501\), permission denied/],
    ["an unknown parameter", "select $1 as phone", /\(08P01\), bind message supplies 0 parameters/],
    ["no query at all", "phone", /\(42601\), syntax error at or near "phone": the query must be one SELECT/],
    ["a comment alone", "-- phone", /\(42601\).*the query must be one SELECT/],
  ])("the query: %s", async (_what, query, message) => {
    const fault = await findFault(query);
    expect(fault).toMatchObject({ code: "source-query", retryable: false });
    expect(fault.message).toMatch(message);
  });

  test.each([
    ["fails on a value", "select name::int as phone from crm.customers", /\(22P02\): psql shows why/],
    [
      "has an error made of data before it runs",
      "select crm.grumble_early() as phone",
      /\(42601\): psql shows why/,
    ],
    ["has an error made of data", "select crm.grumble() as phone", /\(42601\): psql shows why/],
  ])("the query: it %s", async (_what, query, message) => {
    const fault = await findFault(query);
    expect(fault.code).toBe("source-query-failed");
    expect(fault.message).toMatch(message);
  });

  test.each([
    ["no column of contacts", "select name as who from crm.customers", {}, /no column is called .*"who"/],
    ["no such column", good, { column: "mobil" }, /no column "mobil" .*"phone"/],
    ["no such column for the reference", good, { refColumn: "id" }, /no column "id" for --ref-column/],
  ])("the columns: %s", async (_what, query, options, message) => {
    expect((await findFault(query, options)).message).toMatch(message);
  });

  test("an unknown country, before anything is connected", () => {
    expect(() => read(good, { defaultCountry: "XX" })).toThrow(/unknown default country/);
  });

  test("the time: a fetch beyond its deadline", async () => {
    const fault = await findFault("select pg_sleep(60), phone from crm.customers", { fetchMs: 150 });
    expect(fault).toMatchObject({ code: "source-timeout", retryable: true });
    expect(fault.message).toMatch(/gave no rows within 150 ms: .*AVATARS_SOURCE_TIMEOUT_MS/);
  });

  test.each([
    ["in the middle of a fetch", "select pg_sleep(60), phone from crm.customers"],
    ["between two", "select 79001000000 + i as phone from generate_series(1, 5000) i"],
  ])("the connection: lost %s", async (what, query) => {
    const chunks = read(query)[Symbol.asyncIterator]();
    // All that one fetch has brought: what comes next must be fetched.
    if (what === "between two") {
      for (let taken = 0; taken < 1_000;) {
        const chunk = await chunks.next();
        taken += chunk.done === true ? 0 : chunk.value.length;
      }
    }
    const next = what === "between two" ? undefined : chunks.next().catch((error: unknown) => error);
    await eventually(async () => expect(await findSessions()).toHaveLength(1));
    await crm.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity ${crm.sessions}`);
    expect(await (next ?? chunks.next().catch((error: unknown) => error))).toMatchObject({
      code: "source-lost",
      retryable: true,
    });
  });

  test("the one who stops it: at once, with the signal's reason", async () => {
    const stopping = new AbortController();
    const reading = readAll("select pg_sleep(60), phone from crm.customers", { signal: stopping.signal });
    reading.catch(() => undefined);
    await eventually(async () => expect(await findSessions()).toEqual([{ state: "active" }]));
    stopping.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    await eventually(async () => expect(await findSessions()).toEqual([]));
    await expect(readAll(good, { signal: stopping.signal })).rejects.toThrow("enough");
  });
});

describe("a query that is more than a query is refused, and changes nothing", () => {
  const remove = "delete from crm.customers";

  test.each([
    ["a statement that writes", remove, "source-query", /the query must be one SELECT/],
    ["one in a WITH", `with d as (${remove} returning phone) select * from d`, "source-query", /one SELECT/],
    ["a function that writes", "select crm.touch() as phone", "source-writes", /\(25006\): it may only read/],
    ["several statements", `select phone from crm.customers; ${remove}`, "source-query", /one SELECT/],
    ["the end of the transaction", `commit; ${remove}`, "source-query", /one SELECT/],
    ["the end alone", "commit", "source-query", /one SELECT/],
    ["a new table", "select phone into crm.copy from crm.customers", "source-query", /one SELECT/],
    ["locks", "select phone from crm.customers for update", "source-writes", /\(25006\)/],
    ["a procedure", "call crm.commit_and_touch()", "source-query", /one SELECT/],
    [
      "another mode",
      "select set_config('transaction_read_only', 'off', true), crm.touch() as phone",
      "source-query-failed",
      /\(25001\)/,
    ],
  ])("%s", async (_what, query, code, message) => {
    const before = await crm.query("select * from crm.customers order by id");
    const fault = await findFault(query);
    expect(fault.code).toBe(code);
    expect(fault.message).toMatch(message);
    expect(await crm.query("select * from crm.customers order by id")).toEqual(before);
    expect(await crm.query("select from pg_tables where schemaname = 'crm'")).toHaveLength(1);
  });

  test("the session may only read, besides the options in the URL", async () => {
    const settings = [
      "default_transaction_read_only",
      "statement_timeout",
      "search_path",
      "application_name",
    ];
    const shown = settings.map((name) => `current_setting('${name}')`).join(" || ' ' || ");
    const url = urlWith((changed) => changed.searchParams.set("options", "-c search_path=crm"));
    expect(await readAll(`select 79001000001 as phone, ${shown} as ref`, { url })).toMatchObject([
      { externalRef: "on 10s crm contact-avatars" },
    ]);
  });
});
