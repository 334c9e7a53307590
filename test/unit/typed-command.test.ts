import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { findTypedCommand, spellCommands, toCommandLine } from "../../src/cli/terminal/typed-command.ts";

const spell = (words: string) => spellCommands(words, "npx avatars");

describe("the command as it was typed", () => {
  test.each([
    ["by npx", "/app/node_modules/.bin/avatars", true, "npx avatars"],
    ["by an npm script", "/app/dist/bin.js", true, "npx avatars"],
    ["by node in a clone", "/app/dist/bin.js", false, "node dist/bin.js"],
    ["by node from elsewhere", "/opt/avatars/dist/bin.js", false, "node /opt/avatars/dist/bin.js"],
    ["by node, with a blank in the path", "/opt/my tools/bin.js", false, "node '/opt/my tools/bin.js'"],
    ["by its name, where it is installed for all", "/usr/local/bin/avatars", false, "avatars"],
    ["by its path", "/app/node_modules/.bin/avatars", false, "node_modules/.bin/avatars"],
  ])("%s", (_how, script, byNpm, typed) => {
    expect(findTypedCommand({ script, byNpm, cwd: "/app" })).toBe(typed);
  });

  test("can be typed again with its arguments", () => {
    expect(toCommandLine("node dist/bin.js", ["enrich", "it's mine.csv", "--max-age", "0"])).toBe(
      String.raw`node dist/bin.js enrich 'it'\''s mine.csv' --max-age 0`,
    );
  });
});

test("every command is known by its name", async () => {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const process = {
    stdout,
    stderr,
    stdin,
    signal: new AbortController().signal,
    stopSignal: () => undefined,
  };
  await runProgram({ command: "avatars", args: ["--help"], ...process });
  stdout.end();
  const [, list = ""] = /^Commands:\n((?: .*\n)*)/m.exec(await text(stdout)) ?? [];
  const names = [...list.matchAll(/^ {2}(\w+)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(spellCommands(`avatars ${name}`, "x")).toBe(`x ${name}`);
});

describe("a text that names commands", () => {
  test.each([
    [
      "see avatars instance list, or: avatars instance add 1",
      "see npx avatars instance list, or: npx avatars instance add 1",
    ],
    ["run avatars import.", "run npx avatars import."],
    ["Usage: avatars [options] [command]", "Usage: npx avatars [options] [command]"],
    ["batch=$(avatars import a.csv)", "batch=$(npx avatars import a.csv)"],
  ])("has them as they were typed: %s", (words, spelled) => {
    expect(spell(words)).toBe(spelled);
    expect(spell(spelled)).toBe(spelled);
  });

  test.each([
    "the database has no avatars.enqueue",
    "the database holds no contact-avatars tables yet",
    "cannot write avatars export.csv (EACCES)",
    "cannot write out/avatars import-1 (EACCES)",
    "Keeps the WhatsApp avatars of your contacts fresh",
  ])("keeps what is no command: %s", (words) => {
    expect(spell(words)).toBe(words);
  });
});
