import type { Backend } from "./servers.ts";

/** A command line that makes no sense, in words for whoever wrote it. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** Reads the options, or prints the usage (on request, or with what is wrong) and ends the process. */
export function readOptionsOrExit<T>(usage: string, read: () => T): T {
  if (process.argv.includes("--help")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return read();
  } catch (error) {
    const isTheirs = error instanceof OptionError || (error instanceof TypeError && "code" in error);
    if (!isTheirs) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

/** @throws OptionError */
export function toNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (text.trim() === "" || !(number >= min && number <= max))
    throw new OptionError(`${name} takes a number from ${min} to ${max}`);
  return number;
}

/** The backend of the queue that is asked for; undefined: none is. @throws OptionError */
export function toBackend(text: string | undefined): Backend | undefined {
  if (text !== undefined && text !== "redis" && text !== "postgres")
    throw new OptionError("--backend takes redis or postgres");
  return text;
}

/** The names that `--only` lists; all where it is not given. @throws OptionError */
export function toNames<Name extends string>(
  text: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (text === undefined) return names;
  return text.split(",").map((one) => {
    const name = names.find((known) => known === one.trim());
    if (name === undefined) throw new OptionError(`--only takes some of ${names.join(",")}`);
    return name;
  });
}
