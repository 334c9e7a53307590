import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { heapFlag } from "../../src/lib/hold-heap.ts";

/** One that it does not know would be a line on standard error, with each command. */
test("V8 knows the flag that holds its heap", () => {
  const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  expect(known).toContain(`${heapFlag.split("=", 1)[0]} (`);
});
