// Puts the command's modules together: node scripts/bundle-command.js FOLDER, where tsc has written them. Node loads a
// module in half a millisecond, and a short command of some hundred lines needs a thousand: that was most of its time.
import { readFileSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { build } from "esbuild";

const [, , given] = process.argv;
if (given === undefined) throw new Error("usage: node scripts/bundle-command.js FOLDER");
const folder = resolve(given);

/** Packages of many modules, written as modules. All others are loaded from node_modules, as ever. */
const inlined = /^(?:csv-parse|csv-stringify|drizzle-orm|libphonenumber-js|zod)(?:\/|$)/;

await build({
  entryPoints: [join(folder, "bin.js")],
  outdir: folder,
  allowOverwrite: true,
  // What a command loads late stays apart. All lies beside the entry: see `keepPlaces`.
  splitting: true,
  chunkNames: "bin-[hash]",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  logLevel: "warning",
  plugins: [
    { name: "packages", setup: leavePackages },
    { name: "places", setup: keepPlaces },
  ],
});
rmSync(join(folder, "bin.js.map"), { force: true });

function leavePackages({ onResolve }) {
  onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
    kind === "entry-point" || inlined.test(path) ? undefined : { path, external: true },
  );
}

/** A module finds files by its own place, which is another one now. */
function keepPlaces({ onLoad }) {
  onLoad({ filter: /\.js$/ }, ({ path }) => {
    if (!path.startsWith(folder)) return undefined;
    const place = JSON.stringify(`./${relative(folder, path)}`);
    const code = readFileSync(path, "utf8");
    return { contents: code.replaceAll("import.meta.url", `new URL(${place}, import.meta.url).href`) };
  });
}
