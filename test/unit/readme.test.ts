import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { readConfig, settingNames, settingsWithDefault } from "../../src/config.ts";
import { contactStatuses } from "../../src/domain/contact-status.ts";
import { explainHold, holdReasons } from "../../src/domain/trouble/hold.ts";

const root = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

/** The text under a heading, up to the next one of its rank. */
function getSection(title: string): string {
  const [, rank = "", body = ""] = new RegExp(`^(#+) ${title}\\n([^]*)`, "m").exec(readme) ?? [];
  expect(rank, `a section "${title}"`).not.toBe("");
  return body.split(new RegExp(`^#{1,${rank.length}} `, "m"))[0] ?? "";
}

/** The cells of the table rows that start with a name in backticks, by that name. */
function readTable(section: string): Map<string, readonly string[]> {
  const rows = section.match(/^\| *`.*\|$/gm) ?? [];
  return new Map(
    rows.map((row) => {
      const [name = "", ...cells] = row
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim());
      return [name.replaceAll("`", ""), cells];
    }),
  );
}

async function readHelp(...args: string[]): Promise<string> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const stdin = new PassThrough();
  const io = { args: [...args, "--help"], stdout, stderr, stdin };
  await runProgram({ ...io, signal: new AbortController().signal, stopSignal: () => undefined });
  stdout.end();
  return text(stdout);
}

/** Every command of the program, `instance add` and the like included, with its long options. */
async function listCommands(...parents: string[]): Promise<Map<string, string[]>> {
  const help = await readHelp(...parents);
  const [, list = ""] = /^Commands:\n((?: .*\n)*)/m.exec(help) ?? [];
  const names = [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = ""]) => name);
  const commands = new Map<string, string[]>();
  if (parents.length > 0) {
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name = ""]) => name);
    commands.set(parents.join(" "), options);
  }
  for (const name of names.filter((found) => found !== "help")) {
    for (const entry of await listCommands(...parents, name)) commands.set(...entry);
  }
  return commands;
}

describe("the configuration table", () => {
  const table = readTable(getSection("Configuration"));

  test("holds every setting, and nothing else", () => {
    expect([...table.keys()].toSorted()).toEqual([...settingNames].toSorted());
  });

  test("gives each setting its default: to set it so changes nothing", () => {
    const documented = [...table].flatMap(([name, [cell = ""]]) =>
      cell.startsWith("`") ? [{ name, value: cell.replaceAll("`", "") }] : [],
    );
    expect(documented.map(({ name }) => name).toSorted()).toEqual([...settingsWithDefault].toSorted());
    for (const { name, value } of documented) {
      expect(readConfig({ [name]: value }), name).toEqual(readConfig({}));
      // That it is read at all: nothing here takes any text.
      if (!freeTexts.has(name)) expect(() => readConfig({ [name]: "§" }), name).toThrow(name);
    }
  });
});

/** Settings that any text is good for. */
const freeTexts = new Set(["AVATARS_DATA_DIR", "HOST", "METRICS_HOST"]);

describe("the outcomes", () => {
  const section = getSection("Outcomes");

  test.each(contactStatuses)("explain the status %s", (status) => {
    expect(section).toContain(`\`${status}\``);
  });

  test("explain every hold, and no other", () => {
    expect([...readTable(section).keys()].filter((name) => /^[a-z-]+$/.test(name)).toSorted()).toEqual(
      [...holdReasons].toSorted(),
    );
  });

  test.each(holdReasons)("tell whether waiting is enough for the hold %s", (reason) => {
    const [, goesBy] = readTable(section).get(reason) ?? [];
    expect(goesBy === "waiting").toBe(explainHold(reason).advice === undefined);
  });

  test("say how long a held instance is left alone", () => {
    const { probeBaseMs, probeMaxMs } = readConfig({});
    const text = section.replaceAll(/\s+/g, " ");
    expect(text).toContain(`\`AVATARS_PROBE_BASE_MS\` (${probeBaseMs / 1_000} s)`);
    expect(text).toContain(`\`AVATARS_PROBE_MAX_MS\` (${probeMaxMs / 60_000} min)`);
  });
});

describe("the commands", () => {
  test("are all there, with all their options", async () => {
    const section = getSection("Commands");
    const missing: string[] = [];
    for (const [command, options] of await listCommands()) {
      if (!section.includes(`avatars ${command}`) && !section.includes(`\`${command}\``))
        missing.push(command);
      for (const option of options) if (!readme.includes(option)) missing.push(`${command} ${option}`);
    }
    expect(missing).toEqual([]);
  });

  test("that are shown exist, with options that exist", async () => {
    const commands = await listCommands();
    const shown = [
      ...readme.matchAll(/(?:avatars|worker) ((?:instance |apikey )?[a-z]+)((?: [^\n;|`)]*)?)/g),
    ].filter(([line]) => /--/.test(line));
    expect(shown.length).toBeGreaterThan(10);
    for (const [line, command = "", rest = ""] of shown) {
      const options = commands.get(command);
      expect(options, line).toBeDefined();
      for (const [option] of rest.matchAll(/--[\w-]+/g)) expect(options, line).toContain(option);
    }
  });
});

function toAnchor(title: string): string {
  const words = title.toLowerCase().replaceAll(/[^\w -]/g, "");
  return `#${words.replaceAll(" ", "-")}`;
}

describe("the links", () => {
  const targets = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);

  test("to files and sections resolve", () => {
    const anchors = new Set([...readme.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => toAnchor(title)));
    const broken = targets.filter((target) => {
      if (target.startsWith("#")) return !anchors.has(target);
      return !existsSync(fileURLToPath(new URL(target, root)));
    });
    expect(broken).toEqual([]);
  });

  test("lead nowhere but to this machine and to GREEN-API", () => {
    const hosts = [...readme.matchAll(/\b[a-z]+:\/\/([\w.-]+)/g)].map(([, host]) => host);
    expect(new Set(hosts)).toEqual(new Set(["127.0.0.1", "7103.api.greenapi.com"]));
  });
});
