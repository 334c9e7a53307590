import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const resultsFile = fileURLToPath(new URL("../../../bench/RESULTS.md", import.meta.url));
const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Replaces what RESULTS.md says of one benchmark, or adds it at the end. `script` is its name in package.json. */
export async function writeResults(script: string, text: string): Promise<void> {
  const heading = `# Results of \`npm run ${script}\`\n`;
  const parts = (await readFile(resultsFile, "utf8")).split(/^(?=# Results of )/m);
  const known = parts.findIndex((part) => part.startsWith(heading));
  parts.splice(known < 0 ? parts.length : known, 1, `${heading}\n${text.trim()}\n`);
  await writeFile(resultsFile, parts.map((part) => part.trim()).join("\n\n"));
  await promisify(execFile)("npx", ["oxfmt", resultsFile], { cwd: root });
}
