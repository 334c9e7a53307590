import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createImageToken, readImageToken } from "../../src/images/address/image-token.ts";
import { readImageKey } from "../../src/store/images/installation.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});

afterAll(() => database.close());

/** Random ids of all lengths, and the ends. */
const ids = [1, 255, 256, 2 ** 31, Number.MAX_SAFE_INTEGER].concat(
  Array.from({ length: 2_000 }, (_, at) => 1 + Math.floor(Math.random() * 2 ** (1 + (at % 53)))),
);

const tokensSql = `
select id, avatars.image_token(id, i.image_key_inner, i.image_key_outer) as token
from unnest($1::bigint[]) id cross join avatars.installation i`;

describe("avatars.image_token", () => {
  test("gives each contact the token of the API, with the key that the migration made", async () => {
    const key = await readImageKey(database.pool);
    expect(key).toHaveLength(32);
    const { rows } = await database.pool.query<{ id: string; token: string }>(tokensSql, [ids]);
    expect(rows.map(({ token }) => token)).toEqual(ids.map((id) => createImageToken(id, key)));
    for (const { id, token } of rows) expect(readImageToken(token, key)).toBe(Number(id));
  });

  test("is the same to a caller whose search_path has functions of these names", async () => {
    const client = await database.pool.connect();
    try {
      const ask = async () => (await client.query(tokensSql, [[7]])).rows;
      const before = await ask();
      await client.query("create schema mischief");
      await client.query(
        "create function mischief.sha256(bytea) returns bytea language sql return '\\x00'::bytea",
      );
      await client.query("set search_path = mischief, pg_catalog");
      expect(await ask()).toEqual(before);
    } finally {
      client.release(true);
    }
  });
});
