import { userInfo } from "node:os";
import type { Actor } from "../../domain/audit.ts";

/** Who runs this process, as the operating system says. */
export function readOperator(): Actor {
  return { kind: "cli", name: readUserName() };
}

function readUserName(): string {
  try {
    return userInfo().username;
  } catch {
    // In containers a user may have no name.
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
