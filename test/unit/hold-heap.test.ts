import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { heapFlags } from "../../src/lib/hold-heap.ts";

/** One that it does not know would be a line on standard error, with each command. */
test("V8 knows the flags that hold its heap", () => {
  const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  for (const flag of heapFlags) expect(known).toContain(`${flag.split("=", 1)[0]} (`);
});
