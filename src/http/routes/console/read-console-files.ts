import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { ConsoleFile } from "./console-files.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Of a build, within it; of the sources, in the build beside them. */
const folders = ["../../../console-files/", "../../../../dist/console-files/"];

/** Reads the console's files, which are few and small. Empty: it was not built. */
export function readConsoleFiles(): ReadonlyMap<string, ConsoleFile> {
  for (const folder of folders) {
    const files = readFolder(fileURLToPath(new URL(folder, import.meta.url)));
    if (files.length > 0) return new Map(files.map((file) => [file.name, file]));
  }
  return new Map();
}

function readFolder(folder: string): ConsoleFile[] {
  return listNames(folder).flatMap((name) => {
    const type = types[path.extname(name)];
    if (type === undefined) return [];
    return [
      { name, type, bytes: readFileSync(path.join(folder, name)), isLasting: /-[A-Z0-9]{8}\./.test(name) },
    ];
  });
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
