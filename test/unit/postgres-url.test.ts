import { expect, test } from "vitest";
import { toSafeAddress } from "../../src/lib/postgres-url.ts";

test.each([
  ["postgres://crm:hunter2@db:5432/crm?sslmode=require", "db:5432/crm"],
  ["postgresql://db/crm", "db/crm"],
  ["postgres:///crm?host=/run/postgresql&password=hunter2", "/crm"],
  // Of a password with such a character, unescaped, a piece gets into the path, the query or the fragment.
  ["postgres://crm:1/hunter2@db/crm", "elsewhere"],
  ["postgres://crm:1?hunter2@db/crm", "elsewhere"],
  ["postgres://crm:1#hunter2@db/crm", "elsewhere"],
  ["postgres://crm:x/hunter2@db/crm", "elsewhere"],
  ["hunter2", "elsewhere"],
])("the address of %s is %s", (url, address) => {
  expect(toSafeAddress(url, "elsewhere")).toBe(address);
});
