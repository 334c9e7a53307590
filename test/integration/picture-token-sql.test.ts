import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createPictureToken,
  derivePictureKey,
  readPictureToken,
  toSqlPictureKey,
} from "../../src/pictures/address/picture-token.ts";
import { createPictureTokenSql } from "../../src/store/contacts/picture-token-sql.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
  await database.pool.query(createPictureTokenSql);
});

afterAll(() => database.close());

/** Random ids of all lengths, and the ends. */
const ids = [1, 255, 256, 2 ** 31, Number.MAX_SAFE_INTEGER].concat(
  Array.from({ length: 500 }, (_, at) => 1 + Math.floor(Math.random() * 2 ** (1 + (at % 53)))),
);

describe("avatars.picture_token", () => {
  test.each(Array.from({ length: 5 }, (_, at) => [at]))(
    "gives each contact the token of the API, with key %i",
    async () => {
      const key = derivePictureKey(randomBytes(32));
      const { rows } = await database.pool.query<{ id: string; token: string }>(
        "select id, avatars.picture_token(id, $2) as token from unnest($1::bigint[]) id",
        [ids, toSqlPictureKey(key)],
      );
      expect(rows.map(({ token }) => token)).toEqual(ids.map((id) => createPictureToken(id, key)));
      for (const { id, token } of rows) expect(readPictureToken(token, key)).toBe(Number(id));
    },
  );

  test("gives none for a key of another form, and none without a contact", async () => {
    const { rows } = await database.pool.query(
      `select avatars.picture_token(1, '\\x00') as short, avatars.picture_token(null, $1) as nobody`,
      [toSqlPictureKey(derivePictureKey(randomBytes(32)))],
    );
    expect(rows).toEqual([{ short: null, nobody: null }]);
  });

  test("is the same to a caller whose search_path has functions of these names", async () => {
    const key = toSqlPictureKey(derivePictureKey(randomBytes(32)));
    const client = await database.pool.connect();
    try {
      const ask = async () =>
        (await client.query("select avatars.picture_token(7, $1) as token", [key])).rows;
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
