import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { readConfig, settingNames, settingsWithDefault } from "../../src/config.ts";
import { contactStatuses } from "../../src/domain/contact-status.ts";
import { explainHold, holdReasons } from "../../src/domain/trouble/hold.ts";

const root = new URL("../../", import.meta.url);

/** The README and all of docs/, by their paths from the root. */
const pages = new Map(
  [
    "README.md",
    "SECURITY.md",
    ...readdirSync(new URL("docs/", root)).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
  ].map((path) => [path, readFileSync(new URL(path, root), "utf8")]),
);
const allText = [...pages.values()].join("\n");

function getPage(path: string): string {
  const page = pages.get(path);
  if (page === undefined) throw new Error(`there is no ${path}`);
  return page;
}

test("the README can be read in one sitting", () => {
  expect(getPage("README.md").split("\n").length).toBeLessThanOrEqual(250);
});

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
  const io = { command: "avatars", args: [...args, "--help"], stdout, stderr, stdin };
  await runProgram({ ...io, signal: new AbortController().signal, stopSignal: () => undefined });
  stdout.end();
  return text(stdout);
}

/** Every command of the program, `instance add` and the like included, with its long options. */
async function listCommands(...parents: string[]): Promise<Map<string, string[]>> {
  const help = await readHelp(...parents);
  const [, list = ""] = /^Commands:\n((?: .*\n)*)/m.exec(help) ?? [];
  const names = [...list.matchAll(/^ {2}([\w-]+)/gm)].map(([, name = ""]) => name);
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
  const table = readTable(getPage("docs/configuration.md"));

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
  const section = getPage("docs/outcomes.md");

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
    const section = getPage("docs/commands.md");
    const missing: string[] = [];
    for (const [command, options] of await listCommands()) {
      if (!section.includes(`avatars ${command}`) && !section.includes(`\`${command}\``))
        missing.push(command);
      for (const option of options) if (!allText.includes(option)) missing.push(`${command} ${option}`);
    }
    expect(missing).toEqual([]);
  });

  test("that are shown exist, with options that exist", async () => {
    const commands = await listCommands();
    const shown = [
      ...allText.matchAll(
        /(?:avatars|worker) ((?:instance |apikey |images |webhook )?[a-z][a-z-]*)((?: [^\n;|`)]*)?)/g,
      ),
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

function toAnchors(page: string): ReadonlySet<string> {
  return new Set([...page.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => toAnchor(title)));
}

describe("the links", () => {
  test.each([...pages.keys()])("of %s to files and sections resolve", (path) => {
    const targets = [...getPage(path).matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
    const broken = targets.filter((target) => {
      const url = new URL(target, new URL(path, root));
      if (!existsSync(fileURLToPath(url))) return true;
      const page = pages.get(url.pathname.slice(root.pathname.length));
      return url.hash !== "" && !(page && toAnchors(page).has(url.hash));
    });
    expect(broken).toEqual([]);
  });

  test("lead nowhere but to this machine and to GREEN-API", () => {
    // Names that end in .example are no one's, and php://input is no address.
    const hosts = [...allText.matchAll(/\b(?!php:)[a-z]+:\/\/([\w.-]+)/g)]
      .map(([, host = ""]) => host)
      .filter((host) => !host.endsWith(".example"));
    expect(new Set(hosts)).toEqual(new Set(["127.0.0.1", "7103.api.greenapi.com"]));
  });
});

test("the settings that the README shows have the defaults of the whole table", () => {
  const all = readTable(getPage("docs/configuration.md"));
  const few = [...readTable(getPage("README.md"))].filter(([name]) =>
    settingNames.some((known) => known === name),
  );
  expect(few).toHaveLength(10);
  for (const [name, [value]] of few) expect([name, value]).toEqual([name, all.get(name)?.[0]]);
});

test("every page of docs/ is found from the README, or from a page that is", () => {
  const linked = new Set<string>();
  for (const [path, page] of pages) {
    for (const [, target = ""] of page.matchAll(/\]\(([^)#]+)/g))
      linked.add(new URL(target, new URL(path, root)).href);
  }
  const unseen = [...pages.keys()].filter(
    (path) => path !== "README.md" && !linked.has(new URL(path, root).href),
  );
  expect(unseen).toEqual([]);
});
