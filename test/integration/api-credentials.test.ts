import { createCipheriv } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSecretBox } from "../../src/lib/secrets/secret-box.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, secretKey } from "../support/stage.ts";
import { waitForLock } from "../support/wait-for-lock.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const key = Buffer.from(secretKey, "base64");
const box = createSecretBox(key);

/** A host of the caller's own: it notes what it is asked for, and answers as it is told. */
interface OwnHost {
  readonly url: string;
  readonly paths: string[];
  answer: string;
  close(): void;
}

let stage: ApiStage;
let own: OwnHost;
let id = "";
let instances = 0;

beforeAll(async () => {
  own = await openOwnHost();
  stage = await openApiStage({ apiHosts: [new URL(own.url).host] });
  await stage.startWorker();
});
afterAll(async () => {
  own.close();
  await stage.close();
});
beforeEach(() => {
  instances += 1;
  id = String(1101000000 + instances);
  own.paths.length = 0;
  own.answer = '{"urlAvatar":"","available":true}';
});

async function openOwnHost(): Promise<OwnHost> {
  const server = createServer((request, response) => {
    host.paths.push(request.url ?? "");
    request.resume().on("end", () => response.end(host.answer));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = () => server.close().closeAllConnections();
  const host: OwnHost = { url: `http://127.0.0.1:${port}`, paths: [], answer: "", close };
  return host;
}

const change = (json: unknown) => stage.call(`/v1/instances/${id}`, { method: "PATCH", json });

const query = async (text: string, values: unknown[] = []) =>
  (await stage.database.pool.query(text, values)).rows;

/** Written by who writes to the database, and not through any way in. */
const storeInstance = (apiUrl: string, sealedToken: string) =>
  query("insert into avatars.instances (id, api_url, sealed_token) values ($1, $2, $3)", [
    id,
    apiUrl,
    sealedToken,
  ]);

const readRow = async () => {
  const [row] = await query(
    "select api_url, sealed_token, state, held_reason from avatars.instances where id = $1",
    [id],
  );
  return row as { api_url: string; sealed_token: string; state: string; held_reason: string | null };
};

async function enqueue(): Promise<void> {
  const json = { instanceId: id, chatIds: makeChats(1) };
  expect((await stage.call("/v1/batches", { method: "POST", json })).status).toBe(202);
}

const countAnswered = async () => {
  const answered = "select from avatars.contacts where instance_id = $1 and checked_at is not null";
  return (await query(answered, [id])).length;
};

/** As tokens were sealed before they were bound to an origin. */
function sealAsBefore(secret: string): string {
  const nonce = Buffer.alloc(12, instances);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return ["v1", ...[nonce, sealed, cipher.getAuthTag()].map((part) => part.toString("base64url"))].join(".");
}

describe("the stored token", () => {
  test("does not go to a URL of one's own that was asked for while the operator repaired the instance", async () => {
    await storeInstance(own.url, box.seal("own-token", { id, apiUrl: own.url }));
    const apiUrl = stage.simulator.url;
    const operator = await stage.database.pool.connect();
    await operator.query("begin");
    await operator.query("update avatars.instances set api_url = $2, sealed_token = $3 where id = $1", [
      id,
      apiUrl,
      box.seal(token, { id, apiUrl }),
    ]);
    // The caller's own host is stored as yet: nothing is wrong with another path of it.
    const changing = change({ apiUrl: `${own.url}/1` });
    await waitForLock(stage.database.pool);
    await operator.query("commit");
    operator.release();
    const refused = await changing;
    expect([refused.status, refused.json()["errors"]]).toMatchObject([400, [{ path: "/token" }]]);
    expect(await readRow()).toMatchObject({ api_url: apiUrl });
    await enqueue();
    await eventually(async () => expect(await countAnswered()).toBe(1));
    expect(own.paths).toEqual([]);
  });

  test("opens for no other host, however it came to stand beside it", async () => {
    const sealed = box.seal(token, { id, apiUrl: stage.simulator.url });
    await storeInstance(own.url, sealed);
    await enqueue();
    await eventually(async () =>
      expect(await readRow()).toMatchObject({ state: "held", held_reason: "token-unreadable" }),
    );
    expect(own.paths).toEqual([]);
    expect(stage.simulator.readLog({ instanceId: id })).toEqual([]);
  });

  test("goes along to another path of its host", async () => {
    const { url } = stage.simulator;
    await storeInstance(`${url}/no/such/path`, box.seal(token, { id, apiUrl: url }));
    expect((await change({ apiUrl: url })).status).toBe(200);
    await enqueue();
    await eventually(async () => expect(await countAnswered()).toBe(1));
    expect(stage.simulator.readLog({ instanceId: id, method: "getAvatar" })).toHaveLength(1);
  });

  test("sealed before it was bound to a host works, and is bound with the next change", async () => {
    const { url } = stage.simulator;
    await storeInstance(url, sealAsBefore(token));
    await enqueue();
    await eventually(async () => expect(await countAnswered()).toBe(1));
    expect((await change({ label: "known" })).status).toBe(200);
    const { sealed_token: sealed } = await readRow();
    expect(sealed).toMatch(/^v2\./);
    expect(box.open(sealed, { id, apiUrl: url })).toBe(token);
    expect(box.open(sealed, { id, apiUrl: own.url })).toBeUndefined();
  });

  test("sealed before is bound to its host by a worker that starts", async () => {
    const { url } = stage.simulator;
    await storeInstance(url, sealAsBefore(token));
    const other = await openApiStage();
    try {
      await other.database.pool.query(
        "insert into avatars.instances (id, api_url, sealed_token) values ($1, $2, $3)",
        [id, url, sealAsBefore(token)],
      );
      await other.startWorker();
      const { rows } = await other.database.pool.query<{ sealed_token: string }>(
        "select sealed_token from avatars.instances",
      );
      expect(rows.map((row) => box.open(row.sealed_token, { id, apiUrl: url }))).toEqual([token]);
      expect(rows[0]?.sealed_token).toMatch(/^v2\./);
    } finally {
      await other.close();
    }
  });

  test("of a form that is not taken any more is used as it is, and no answer about it stops the worker", async () => {
    const unusual = `${String.raw`\a`.repeat(9)}zz1234`;
    await storeInstance(own.url, box.seal(unusual, { id, apiUrl: own.url }));
    own.answer = `${`${'"\\'.repeat(9)}"a`.repeat(8)}!`;
    await enqueue();
    // It is asked again, because this is no clear answer.
    await eventually(() => expect(own.paths.length).toBeGreaterThanOrEqual(2));
    expect(own.paths[0]).toContain(encodeURIComponent(unusual));
    expect((await stage.call("/healthz")).status).toBe(200);
  });
});

describe("a token that cannot be one", () => {
  test.each(["two words", "a/b", "a+b", String.raw`\a\a`, "токен", "t".repeat(129), "", "a%41"])(
    "is refused and not shown: %j",
    async (given) => {
      await storeInstance(own.url, box.seal("own-token", { id, apiUrl: own.url }));
      const wish = { id: "1101999999", apiUrl: "https://7103.api.greenapi.com", token: given };
      for (const answer of [
        await change({ token: given }),
        await stage.call("/v1/instances", { method: "POST", json: wish }),
      ]) {
        expect([answer.status, answer.json()["errors"]]).toMatchObject([
          400,
          [
            {
              path: "/token",
              message: 'Expected 1 to 128 letters, digits, "-" and "_", as the console shows it',
            },
          ],
        ]);
        if (given.length > 3) expect(answer.text).not.toContain(JSON.stringify(given).slice(1, -1));
      }
      expect(box.open((await readRow()).sealed_token, { id, apiUrl: own.url })).toBe("own-token");
    },
  );
});

describe("an apiUrl over HTTP", () => {
  const elsewhere = [
    "http://127.0.0.1:6379",
    "http://localhost:9",
    "http://169.254.169.254/latest/meta-data",
    "https://[::1]",
    "https://2130706433",
    "http://7103.api.greenapi.com",
    "https://7103.api.greenapi.com:8443",
    "https://greenapi.com.example.com",
    "https://7103.api.greenapi.com.",
  ];

  test.each(elsewhere)(
    "points nowhere that the operator did not name, also with a token: %s",
    async (apiUrl) => {
      await storeInstance(own.url, box.seal("own-token", { id, apiUrl: own.url }));
      const wish = { id: "1101999998", apiUrl, token };
      for (const answer of [
        await change({ apiUrl, token }),
        await change({ apiUrl }),
        await stage.call("/v1/instances", { method: "POST", json: wish }),
      ]) {
        expect([answer.status, answer.json()["errors"]]).toMatchObject([400, [{ path: "/apiUrl" }]]);
        expect(answer.text).toContain("AVATARS_API_HOSTS");
      }
      expect(await readRow()).toMatchObject({ api_url: own.url });
    },
  );

  test.each(["https://7103.api.greenapi.com", "https://api.green-api.com/v3", "http://127.0.0.1:9"])(
    "points to GREEN-API, and where the operator says: %s",
    async (apiUrl) => {
      const wish = { id, apiUrl, token };
      expect((await stage.call("/v1/instances", { method: "POST", json: wish })).status).toBe(201);
      expect((await change({ apiUrl: own.url, token: "own-token" })).status).toBe(200);
      expect((await change({ apiUrl, token })).json()).toMatchObject({ apiUrl });
    },
  );

  test("of the operator's choice stays beside other changes, also where none may be asked for", async () => {
    const apiUrl = "http://127.0.0.1:10";
    await stage.addInstance(id, { apiUrl });
    expect((await change({ apiUrl, label: "kept", token })).json()).toMatchObject({ apiUrl, label: "kept" });
    expect((await change({ apiUrl: `${apiUrl}/other` })).status).toBe(400);
  });
});
