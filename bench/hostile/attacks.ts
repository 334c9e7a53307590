import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import pg from "pg";

/** What attacks are made with: keys that are limited to the first instance, and a role with `usage` on the schema. */
export interface Attacker {
  readonly url: string;
  readonly instanceId: string;
  readonly keys: Readonly<Record<"read" | "enqueue", string>>;
  /** As the role of a CRM. */
  readonly databaseUrl: string;
  readonly signal: AbortSignal;
}

export interface Attack {
  readonly name: string;
  /** Goes on until it has its answers, or `seconds` are over where it only holds something. */
  run(attacker: Attacker, seconds: number): Promise<void>;
}

/** Sizes are those at which the first version of the product stood still for seconds. */
export const attacks: readonly Attack[] = [
  { name: "nothing", run: async ({ signal }, seconds) => wait(seconds, signal) },
  upload("a gzipped CSV of 1 MiB quotes that never close, four times", () =>
    gzipSync(`phone,ref\n${'a,"\n'.repeat(524_288)}`),
  ),
  upload("64 MiB of line ends in 65 KB, four times", () => gzipSync(`phone\n${"\n".repeat(2 ** 26)}`)),
  upload("2 MiB of good lines, four times", () =>
    gzipSync(
      `phone\n${Array.from({ length: 150_000 }, (_, n) => `7933${String(n).padStart(7, "0")}`).join("\n")}`,
    ),
  ),
  post("read", "/v1/contacts/lookup", "1000 ids of quotes", ({ instanceId }) => ({
    instanceId,
    chatIds: Array<string>(1000).fill(`1${"'".repeat(998)}x`),
  })),
  post("enqueue", "/v1/batches", "8300 ids of quotes", ({ instanceId }) => ({
    instanceId,
    chatIds: Array<string>(8300).fill(`1${"'".repeat(960)}x`),
  })),
  post("enqueue", "/v1/batches", "500,000 unknown keys", ({ instanceId }) => ({
    instanceId,
    ...Object.fromEntries(Array.from({ length: 500_000 }, (_, n) => [`k${n}`, 0])),
  })),
  post("enqueue", "/v1/batches", "4 M nested arrays", () => "[".repeat(4_000_000)),
  post("enqueue", "/v1/batches", "10,000 good contacts", ({ instanceId }) => ({
    instanceId,
    chatIds: Array.from({ length: 10_000 }, (_, n) => `7934${String(n).padStart(7, "0")}@c.us`),
  })),
  { name: "1000 event streams of one key", run: openStreams },
  { name: "a transaction that has enqueued all contacts in flight", run: holdContacts },
  { name: "every advisory lock that is held, and the feed's", run: holdAdvisoryLocks },
];

function upload(name: string, makeBody: () => Buffer): Attack {
  return {
    name: `upload: ${name}`,
    async run({ url, instanceId, keys, signal }) {
      const body = makeBody();
      const send = async () => {
        const response = await fetch(`${url}/v1/batches?instanceId=${instanceId}`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${keys.enqueue}`,
            "content-type": "text/csv",
            "content-encoding": "gzip",
          },
          body: new Uint8Array(body),
          signal,
        });
        await response.text();
      };
      // The server may refuse in the middle of it.
      await Promise.allSettled(Array.from({ length: 4 }, send));
    },
  };
}

function post(
  scope: "read" | "enqueue",
  path: string,
  name: string,
  makeBody: (attacker: Attacker) => unknown,
): Attack {
  return {
    name: `POST ${path}: ${name}`,
    async run(attacker) {
      const made = makeBody(attacker);
      const body = typeof made === "string" ? made : JSON.stringify(made);
      const headers = {
        authorization: `Bearer ${attacker.keys[scope]}`,
        "content-type": "application/json",
      };
      for (let n = 0; n < 3; n += 1) {
        const sent = fetch(attacker.url + path, { method: "POST", headers, body, signal: attacker.signal });
        await sent.then((response) => response.text()).catch(() => undefined);
      }
    },
  };
}

async function openStreams({ url, instanceId, keys, signal }: Attacker, seconds: number): Promise<void> {
  const made = await fetch(`${url}/v1/batches`, {
    method: "POST",
    headers: { authorization: `Bearer ${keys.enqueue}`, "content-type": "application/json" },
    body: JSON.stringify({ instanceId, chatIds: ["79350000001@c.us"], maxAge: 0 }),
    signal,
  });
  const { id } = (await made.json()) as { id: string };
  const over = new AbortController();
  const streams = Array.from({ length: 1_000 }, async () => {
    const response = await fetch(`${url}/v1/batches/${id}/events`, {
      headers: { authorization: `Bearer ${keys.read}` },
      signal: AbortSignal.any([signal, over.signal]),
    });
    await response.text();
  });
  await wait(seconds, signal);
  over.abort();
  await Promise.allSettled(streams);
}

async function holdContacts(attacker: Attacker, seconds: number): Promise<void> {
  await inTransaction(attacker, seconds, async (client) => {
    // Those of the instance's import, in their order: among them all that are in flight or about to be.
    await client.query(
      `select avatars.enqueue($1, array(
         select '7900' || lpad(n::text, 7, '0') || '@c.us' from generate_series(1, 5000) as n), max_age => '0')`,
      [attacker.instanceId],
    );
  });
}

async function holdAdvisoryLocks(attacker: Attacker, seconds: number): Promise<void> {
  await inTransaction(attacker, seconds, async (client) => {
    const { rows } = await client.query<{ key: string }>(
      `select distinct (classid::int8 << 32 | objid::int8)::text as key from pg_locks
       where locktype = 'advisory' and objsubid = 1
       union select '6272077465837'`,
    );
    await client.query("set local lock_timeout = '500ms'");
    for (const { key } of rows) {
      await client.query("savepoint before_lock");
      await client
        .query("select pg_advisory_xact_lock($1::bigint)", [key])
        .catch(async () => client.query("rollback to savepoint before_lock"));
    }
  });
}

async function inTransaction(
  { databaseUrl, signal }: Attacker,
  seconds: number,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client(databaseUrl);
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("begin");
    await work(client);
    await wait(seconds, signal);
    await client.query("rollback");
  } finally {
    await client.end();
  }
}

async function wait(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal });
}
