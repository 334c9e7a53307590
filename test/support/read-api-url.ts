import type { CliRun } from "./run-cli.ts";
import { printedBy } from "./stage.ts";

/** Where an API that was started as a process listens, as soon as it does: PORT=0 takes a free port. */
export async function readApiUrl(run: CliRun): Promise<string> {
  await printedBy(run, '"msg":"api served"');
  const line = run
    .printed()
    .split("\n")
    .find((text) => text.includes('"msg":"api served"'));
  return (JSON.parse(line ?? "{}") as { url: string }).url;
}
