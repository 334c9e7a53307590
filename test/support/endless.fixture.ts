import { test } from "vitest";
import { startCli } from "./run-cli.ts";

test("a command that nobody stops", async () => {
  await startCli(["simulate", "--port", "0"]).ended;
});
