// Fails when package-lock.json would let npm install bytes that nobody has checked, or names a registry's host.
// Another lockfile may be named as the only argument.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Entries that cannot have a checksum. Each is optional, for development alone, and was not to be had from the public
 * registry when it was looked for: lefthook 2.2.2 lists a package for Android, which no machine of ours installs.
 */
const absent = new Set(["node_modules/lefthook-android-arm64"]);

const file = process.argv[2] ?? fileURLToPath(new URL("../package-lock.json", import.meta.url));
const troubles = findTroubles(JSON.parse(readFileSync(file, "utf8")));
if (troubles.length > 0) {
  const advice =
    "npm leaves checksums out for platforms that were not installed. Remove the entries named here, run " +
    "npm install --package-lock-only, and take their integrity over";
  process.stderr.write(`${[...troubles, advice].join("\n")}\n`);
  process.exitCode = 1;
}

/** What is wrong, one line for each entry. */
function findTroubles({ lockfileVersion, packages = {} }) {
  if (lockfileVersion !== 3) return [`package-lock.json has version ${lockfileVersion}; expected 3`];
  return Object.entries(packages).flatMap(([name, entry]) => {
    // The root is the project itself.
    if (name === "") return [];
    // See .npmrc: a host that is written down would be asked also where another registry is set.
    if (entry.link || entry.resolved !== undefined) return [`${name} is resolved to ${entry.resolved}`];
    if (absent.has(name) && entry.optional && entry.dev && entry.integrity === undefined) return [];
    if (absent.has(name)) return [`${name} is to be had after all: strike it from scripts/check-lockfile.js`];
    if (/^sha512-[\w+/]{86}==$/.test(entry.integrity ?? "")) return [];
    return [`${name} has ${entry.integrity === undefined ? "no integrity" : "a weak integrity"}`];
  });
}
