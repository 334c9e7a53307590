// Builds the console's files: node scripts/build-console.js FOLDER. Their names say what is in them, so that browsers may keep them.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = fileURLToPath(new URL("../src/console/", import.meta.url));
const [, , folder] = process.argv;
if (folder === undefined) throw new Error("usage: node scripts/build-console.js FOLDER");

mkdirSync(folder, { recursive: true });
const { metafile } = await build({
  entryPoints: [join(source, "main.tsx")],
  outdir: folder,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});

// Others are loaded by it, later.
const entry = Object.entries(metafile.outputs).find(([, { cssBundle }]) => cssBundle !== undefined);
if (entry === undefined)
  throw new Error(`no script with a style: ${Object.keys(metafile.outputs).join(", ")}`);
const [script, { cssBundle: style }] = entry;
const page = readFileSync(join(source, "index.html"), "utf8");
writeFileSync(
  join(folder, "index.html"),
  page.replace("%SCRIPT%", basename(script)).replace("%STYLE%", basename(style)),
);
cpSync(join(source, "favicon.svg"), join(folder, "favicon.svg"));
