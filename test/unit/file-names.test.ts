import { expect, test } from "vitest";
import { assertDistinctFiles, toRejectsPath, toResultsPath } from "../../src/cli/batch/file-names.ts";

test.each([
  ["exports/contacts.csv.gz", "contacts.avatars.csv", "contacts.rejects.csv"],
  ["contacts.ndjson", "contacts.avatars.csv", "contacts.rejects.csv"],
  ["exports/customers.xlsx", "customers.avatars.csv", "customers.rejects.csv"],
  ["phone.VCF", "phone.avatars.csv", "phone.rejects.csv"],
  ["-", "stdin.avatars.csv", "stdin.rejects.csv"],
  [".csv", "contacts.avatars.csv", "contacts.rejects.csv"],
])("the results of %s go to %s and its rejects to %s", (file, results, rejects) => {
  expect(toResultsPath(file)).toBe(results);
  expect(toRejectsPath(results)).toBe(rejects);
});

test.each([
  ["a.csv", "./a.csv", "r.csv"],
  ["a.csv", "b.csv", "x/../a.csv"],
  ["a.csv", "b.csv", "b.csv"],
])("reading %s, writing %s and %s is refused", async (input, results, rejects) => {
  await expect(assertDistinctFiles({ input, results, rejects })).rejects.toThrow(/cannot be both/);
});

test("standard input and files of their own are fine", async () => {
  await assertDistinctFiles({ input: "-", results: "b.csv", rejects: undefined });
});
