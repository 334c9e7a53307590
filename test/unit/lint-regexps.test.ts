import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");

/** How many lines of a file the project's linter finds a super-linear regular expression in. */
async function findSuperLinear(lines: readonly string[]): Promise<number[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "lint-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "regexps.ts");
  await writeFile(file, lines.join("\n"));
  const args = [
    path.join(root, "node_modules/oxlint/bin/oxlint"),
    "-c",
    path.join(root, ".oxlintrc.json"),
    "--format=json",
    file,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args).catch(
    (failed: { stdout: string }) => failed,
  );
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { code: string; labels: { span: { line: number } }[] }[];
  };
  return diagnostics
    .filter(({ code }) => code.startsWith("regexp(no-super-linear"))
    .map(({ labels }) => labels[0]!.span.line)
    .sort((a, b) => a - b);
}

test("the linter refuses regular expressions whose time grows faster than the text", async () => {
  const bad = [
    // Exponential, by what a group and its inside share.
    "export const a = /^(?:a|\\\\a)+b|^(x+)+$/;",
    // Quadratic, by every place where a run may begin.
    "export const b = /^'+|'+$/g;",
    "export const c = /\\s*\\n\\s*/g;",
    // Cubic, by what neighbours share.
    "export const d = /^\\s*(\\w+)\\s*=\\s*(.+?)\\s*$/;",
  ];
  expect([...new Set(await findSuperLinear(bad))]).toEqual([1, 2, 3, 4]);
});

test("and lets those pass whose time does not", async () => {
  const good = [
    "export const a = /^(?:[^a]|a(?!b))*$/;",
    "export const b = /^'+/;",
    "export const c = /^\\s*\\d+(\\.\\d+)?(\\s*(ms|s|m|h|d|w))?\\s*$/i;",
    'export const d = /^=?"(.*)"$/;',
  ];
  expect(await findSuperLinear(good)).toEqual([]);
});
