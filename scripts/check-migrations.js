// Fails when src/store/schema/ and migrations/ have drifted apart. Works on a copy: nothing is changed here.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "contact-avatars-migrations-"));
try {
  const copy = join(folder, "migrations");
  cpSync(join(root, "migrations"), copy, { recursive: true });
  const trouble = findTrouble(copy);
  if (trouble !== undefined) {
    process.stderr.write(`${trouble}\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What is wrong, for people; undefined where schema and migrations agree. */
function findTrouble(copy) {
  const config = writeConfig(copy);
  const before = listFiles(copy);
  const check = runDrizzleKit("check", config);
  if (check.status !== 0) return `drizzle-kit check: ${check.output}`;
  const generate = runDrizzleKit("generate", config);
  // Its exit code is 0 also when it wanted to ask and could not: only these words say that all is well.
  if (generate.output.includes("No schema changes")) return undefined;
  const added = listFiles(copy).filter((name) => name.endsWith(".sql") && !before.includes(name));
  const statements = added.map((name) => readFileSync(join(copy, name), "utf8"));
  const details = statements.length > 0 ? statements.join("\n") : generate.output;
  return `src/store/schema/ has changed without a migration: npm run migrations:generate\n\n${details}`;
}

/** The project's own configuration, but for where the migrations are. */
function writeConfig(copy) {
  const file = join(folder, "drizzle.config.ts");
  const original = JSON.stringify(join(root, "drizzle.config.ts"));
  // drizzle-kit reads it as relative to the working directory.
  const out = JSON.stringify(relative(root, copy));
  writeFileSync(file, `import config from ${original};\nexport default { ...config, out: ${out} };\n`);
  return file;
}

/** Without a terminal: where a column may have been renamed drizzle-kit would ask, and wait. */
function runDrizzleKit(command, config) {
  const args = ["node_modules/drizzle-kit/bin.cjs", command, `--config=${config}`];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
  });
  return { status, output: error ? String(error) : `${stdout}${stderr}` };
}

function listFiles(directory) {
  return readdirSync(directory, { recursive: true }).map(String);
}
