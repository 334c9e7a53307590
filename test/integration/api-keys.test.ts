import { afterAll, beforeAll, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createApiToken, createSecretHmac } from "../../src/lib/secrets/api-token.ts";
import {
  createApiKey,
  findApiKeys,
  listApiKeys,
  noteApiKeyUse,
  revokeApiKey,
  type NewApiKey,
} from "../../src/store/api-keys/api-keys.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

const findKey = async (id: string) => (await findApiKeys(database, [id]))[0];

const hmac = createSecretHmac(Buffer.alloc(32, 1));

async function addKey(key: Partial<NewApiKey> = {}) {
  const { id, secret } = createApiToken();
  const stored = await createApiKey(database, {
    id,
    label: undefined,
    scopes: ["read"],
    instanceIds: undefined,
    expiresAt: undefined,
    secretHmac: hmac(secret),
    ...key,
  });
  return { ...stored, secret };
}

test("a key is found as it was made", async () => {
  const expiresAt = new Date("2030-01-02T03:04:05Z");
  const instanceIds = ["1101", "1102"] as InstanceId[];
  const scopes = ["enqueue", "read", "admin"] as const;
  const { id, secret } = await addKey({ label: "CRM", scopes, instanceIds, expiresAt });
  expect(await findKey(id)).toEqual({
    id,
    label: "CRM",
    scopes,
    instanceIds,
    expiresAt,
    secretHmac: hmac(secret),
    createdAt: expect.any(Date),
    revokedAt: undefined,
    lastUsedAt: undefined,
  });
});

test("a key for all instances has no list of them, and a key for none an empty one", async () => {
  expect(await addKey()).toMatchObject({ instanceIds: undefined, label: undefined, expiresAt: undefined });
  expect(await addKey({ instanceIds: [] })).toMatchObject({ instanceIds: [] });
});

test("a key that nobody made is not found", async () => {
  expect(await findKey("000000000000")).toBeUndefined();
  expect(await revokeApiKey(database, "000000000000")).toBe(false);
  await noteApiKeyUse(database, "000000000000");
});

test("the listing has all keys, oldest first, and no HMAC", async () => {
  const first = await addKey({ label: "first" });
  const second = await addKey({ label: "second" });
  const listed = await listApiKeys(database);
  expect(listed.slice(-2).map(({ id }) => id)).toEqual([first.id, second.id]);
  expect(listed.every((key) => !("secretHmac" in key))).toBe(true);
});

test("a key is revoked once, and stays so", async () => {
  const { id } = await addKey();
  const { id: other } = await addKey();
  expect(await revokeApiKey(database, id)).toBe(true);
  const first = await findKey(id);
  expect(first?.revokedAt).toBeInstanceOf(Date);
  expect(await revokeApiKey(database, id)).toBe(true);
  expect(await findKey(id)).toEqual(first);
  expect((await findKey(other))?.revokedAt).toBeUndefined();
});

test("the use of a key is noted at most once a minute", async () => {
  const { id } = await addKey();
  await noteApiKeyUse(database, id);
  const first = (await findKey(id))?.lastUsedAt;
  expect(first).toBeInstanceOf(Date);
  await noteApiKeyUse(database, id);
  expect((await findKey(id))?.lastUsedAt).toEqual(first);
  await database.pool.query(
    `update avatars.api_keys set last_used_at = now() - interval '61 seconds' where id = $1`,
    [id],
  );
  await noteApiKeyUse(database, id);
  expect((await findKey(id))?.lastUsedAt?.getTime()).toBeGreaterThanOrEqual(first!.getTime());
});
