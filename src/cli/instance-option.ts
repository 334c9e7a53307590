import { Option } from "commander";
import { toInstanceId } from "./terminal/arguments.ts";

/** `--instance <id>`, of commands that work on one instance. */
export function instanceOption(): Option {
  return new Option("--instance <id>", "which instance, where there is more than one").argParser(
    toInstanceId,
  );
}
