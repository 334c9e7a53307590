import { basename, dirname, isAbsolute, relative } from "node:path";

/** How a process was started, as node and its environment tell. */
export interface Start {
  /** The absolute path of the script: `process.argv[1]`. */
  readonly script: string;
  /** By npx, or by a script of a package.json. */
  readonly byNpm: boolean;
  readonly cwd: string;
}

/** The command line up to its first argument, so that it can be typed again: `avatars`, `npx avatars`, `node dist/bin.js`. */
export function findTypedCommand({ script, byNpm, cwd }: Start): string {
  // Also for `npm start`, which takes no other command; npx finds it in a clone as well.
  if (byNpm) return "npx avatars";
  const name = basename(script);
  const isBinary = name === "avatars";
  const isInstalled = basename(dirname(script)) !== ".bin";
  if (isBinary && isInstalled) return name;
  const path = toShortPath(script, cwd);
  return isBinary ? quoteForShell(path) : `node ${quoteForShell(path)}`;
}

function toShortPath(script: string, cwd: string): string {
  const path = relative(cwd, script);
  if (path === "" || isAbsolute(path) || path.startsWith("..")) return script;
  return path;
}

/** A command line that can be typed again. @param command as it was typed */
export function toCommandLine(command: string, args: readonly string[]): string {
  return [command, ...args.map(quoteForShell)].join(" ");
}

function quoteForShell(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", String.raw`'\''`)}'`;
}

const subcommands =
  "apikey|audit|enrich|export|images|import|instance|migrate|resync|serve|simulate|status|up|webhook|worker|\\[options\\]";
/** `avatars` as a command: no part of a path or of a longer name. */
const mentions = new RegExp(String.raw`(?<![\w./-]|npx )avatars (?=(?:${subcommands})(?![\w-]|\.\w))`, "g");

/**
 * Our own text, with the commands that it names as they were typed: `avatars status` becomes `npx avatars status`. For errors,
 * hints and help alone: what users have named may look like a command, too.
 */
export function spellCommands(text: string, command: string): string {
  return text.replaceAll(mentions, () => `${command} `);
}
