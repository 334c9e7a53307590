// Ends what a run of the tests has left behind: started by global-setup.ts, it outlives the run and is told of its end by the end
// of its own input, however the run ended. Whatever works in the folder named as its only argument, or takes it for its
// temporary folder, is stopped; then the folder is removed. Linux only: elsewhere it does nothing.
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const pauseMs = 50;
/** Postgres is let to remove its shared memory for so long. */
const patientRounds = 40;
const mostRounds = 400;
const folder = process.argv[2] ?? "";

process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
process.stdin.resume();
process.stdin.on("error", () => undefined);
process.stdin.on("close", () => void cleanUp());

async function cleanUp() {
  if (process.platform !== "linux" || !folder.includes("contact-avatars-test-")) return;
  for (let round = 0; round < mostRounds; round += 1) {
    const left = findProcesses();
    if (left.length === 0) break;
    for (const { pid, name } of left) {
      stop(pid, name === "postgres" && round < patientRounds ? "SIGQUIT" : "SIGKILL");
    }
    await delay(pauseMs);
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function findProcesses() {
  return readdirSync("/proc").flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const place = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, "");
      const isThere = place === folder || place.startsWith(`${folder}/`);
      const takesIt = () =>
        `\0${readFileSync(`/proc/${pid}/environ`, "utf8")}`.includes(`\0TMPDIR=${folder}\0`);
      return isThere || takesIt() ? [{ pid, name: readFileSync(`/proc/${pid}/comm`, "utf8").trim() }] : [];
    } catch {
      // It has ended, or is another user's.
      return [];
    }
  });
}

function stop(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
