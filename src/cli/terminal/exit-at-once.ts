import { spawn } from "node:child_process";

/** Far longer than an end takes that nothing holds up. */
const patienceMs = 500;
/** Its input ends with our process: then there is nothing left to do. */
const guard = `
  process.stdin.on("end", () => process.exit()).on("error", () => process.exit()).resume();
  setTimeout(() => process.kill(Number(process.argv[1]), "SIGKILL"), ${patienceMs});
`;

/**
 * Ends the process now. `process.exit` waits for every thread that is in a system call, such as the lookup of a name. Nothing
 * of ours runs meanwhile. So a guard, another process, kills this one when that takes too long. The guard ends together with
 * this one, out of reach of the terminal's Ctrl-C.
 */
export function exitAtOnce(code: number): never {
  try {
    const child = spawn(process.execPath, ["-e", guard, `${process.pid}`], {
      detached: true,
      windowsHide: true,
      env: {},
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.on("error", () => undefined);
  } catch {
    // No process to be had: then without.
  }
  process.exit(code);
}
