import { expect, test } from "vitest";
import { toConnection, toSafeAddress } from "../../src/lib/postgres-url.ts";

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

test.each([
  ["postgres://db/crm?sslmode=require", "postgres://db/crm?sslmode=require", "-c lock_timeout=1"],
  ["postgres://db/crm?options=-c%20jit%3Don", "postgres://db/crm", "-c jit=on -c lock_timeout=1"],
  [
    "postgres://db/crm?options=-c+a.b%3D1&sslmode=require&options=-c+c.d%3D2",
    "postgres://db/crm?sslmode=require",
    "-c a.b=1 -c c.d=2 -c lock_timeout=1",
  ],
])("to %s our settings are added, after its own", (url, connectionString, options) => {
  expect(toConnection(url, "-c lock_timeout=1")).toEqual({ connectionString, options });
});
