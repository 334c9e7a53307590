import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const document = readFileSync(path.join(root, "docs/architecture.md"), "utf8");
const files = listFiles("src");
const folders = [...new Set(files.map((file) => path.dirname(file)))];

/** A folder with more wants groups. */
const mostFiles = 20;
const mostLines = 300;
/** Longer ones, with the lines that they may have: they may shrink, and then leave this list. */
const longFiles: Readonly<Record<string, number>> = {};

/** Paths of the TypeScript files, with and without JSX, below a folder, from the root. */
function listFiles(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return listFiles(name);
    return /\.tsx?$/.test(entry.name) ? [name] : [];
  });
}

function countLines(file: string): number {
  return readFileSync(path.join(root, file), "utf8").split("\n").length - 1;
}

/** The folders that the document has a row for, with what it says of them. */
function readPurposes(): Map<string, string> {
  const rows = document.matchAll(/^\| `(src\/[\w/-]*)` *\|([^|\n]+)\|$/gm);
  return new Map(
    [...rows].map(([, folder = "", purpose = ""]) => [folder.replace(/\/$/, ""), purpose.trim()]),
  );
}

/** What each folder may import of src, as its line in .oxlintrc.imports.json says; `config.ts` and the like count as files. */
function readAllowedImports(): Map<string, string[]> {
  const text = readFileSync(path.join(root, ".oxlintrc.imports.json"), "utf8");
  const lines = text.matchAll(/^ *\{ "files": \["([^"]+)"\].*?"group": \[([^\]]*)\]/gm);
  return new Map(
    [...lines].map(([, where = "", group = ""]) => {
      const folder = path.dirname(where);
      const allowed = [...group.matchAll(/"!(\.[^"]+)"/g)].map(([, pattern = ""]) =>
        path.posix.join(folder, pattern),
      );
      const name = where.endsWith(".ts") ? where : folder;
      return [name, allowed.flatMap(toFolders).filter((target) => target !== name)];
    }),
  );
}

/** `src/domain/**` means all folders below it, `src/lib/*` the folder, `src/config.ts` itself. */
function toFolders(pattern: string): string[] {
  const folder = path.posix.dirname(pattern);
  if (pattern.endsWith("/**"))
    return folders.filter((name) => name === folder || name.startsWith(`${folder}/`));
  return [pattern.endsWith("*") ? folder : pattern];
}

/** The first circle on the way from a folder; empty: there is none. */
function findCircle(
  allowed: ReadonlyMap<string, readonly string[]>,
  from: string,
  way: string[] = [],
): string[] {
  if (way.includes(from)) return [...way.slice(way.indexOf(from)), from];
  for (const target of allowed.get(from) ?? []) {
    const circle = findCircle(allowed, target, [...way, from]);
    if (circle.length > 0) return circle;
  }
  return [];
}

describe("docs/architecture.md", () => {
  test("says of each folder of src, and of no other, what it is for", () => {
    const purposes = readPurposes();
    expect([...purposes.keys()].toSorted()).toEqual(folders.toSorted());
    for (const [folder, purpose] of purposes) expect(purpose, folder).toMatch(/^[`A-Z].*\.$/);
  });

  test("names only paths that exist", () => {
    const named = [...document.matchAll(/`((?:src|test|docs|bench|scripts)\/[^`\s]*)`/g)].map(
      ([, name = ""]) => name,
    );
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((name) => !existsSync(path.join(root, name)))).toEqual([]);
  });

  test("says where the ten likeliest changes are made", () => {
    const [, section = ""] = /^## Where do I change …\n([^]*)/m.exec(document) ?? [];
    const changes = [...section.matchAll(/^\| (an?) (new )?([\w ]+) \|/gm)].map(([, , , what = ""]) => what);
    for (const what of [
      "outcome",
      "setting",
      "endpoint",
      "statement",
      "messenger",
      "command",
      "metric",
      "log event",
      "background task",
      "simulator behaviour",
    ]) {
      expect(
        changes.filter((change) => change.startsWith(what)),
        what,
      ).toHaveLength(1);
    }
  });
});

describe("the layout of src", () => {
  test(`has at most ${mostFiles} files in a folder`, () => {
    const crowded = folders.filter(
      (folder) => files.filter((file) => path.dirname(file) === folder).length > mostFiles,
    );
    expect(crowded).toEqual([]);
  });

  test(`has at most ${mostLines} lines in a file, but for those that are known`, () => {
    const long = files.filter((file) => countLines(file) > (longFiles[file] ?? mostLines));
    expect(long).toEqual([]);
  });

  test("knows no longer file that is short now", () => {
    expect(
      Object.keys(longFiles).filter((file) => !files.includes(file) || countLines(file) <= mostLines),
    ).toEqual([]);
  });

  test("has a line of allowed imports for each folder, and for each file beside them", () => {
    const beside = files.filter((file) => path.dirname(file) === "src");
    const expected = [...folders.filter((folder) => folder !== "src"), ...beside];
    expect([...readAllowedImports().keys()].toSorted()).toEqual(expected.toSorted());
  });

  test("lets no folder import, by way of others, itself", () => {
    const allowed = readAllowedImports();
    for (const folder of allowed.keys()) expect(findCircle(allowed, folder)).toEqual([]);
  });

  test("has no import that goes down and up again, past its line of allowed imports", () => {
    const astray = files.filter((file) =>
      /from "[^"]*\w\/\.\.\//.test(readFileSync(path.join(root, file), "utf8")),
    );
    expect(astray).toEqual([]);
  });
});
