import { readdirSync, readFileSync } from "node:fs";
import { arch, cpus, release, totalmem, type } from "node:os";

/** What Linux counts CPU time in: USER_HZ is 100 on every architecture that Node runs on (proc_pid_stat(5)). */
const tickMs = 10;

/** What /proc knows of a process, in ms; undefined where there is no such process, or no /proc. */
interface ProcessTimes {
  readonly parent: number;
  readonly ownMs: number;
  /** Of its children that have ended. */
  readonly endedChildrenMs: number;
}

function findTimes(pid: number | string): ProcessTimes | undefined {
  const stat = findText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold spaces and brackets; the state comes after it, and is field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    ownMs: (field(14) + field(15)) * tickMs,
    endedChildrenMs: (field(16) + field(17)) * tickMs,
  };
}

/** @throws where CPU times cannot be read */
export function assertProc(): void {
  if (findTimes(process.pid) === undefined) throw new Error("there is no /proc here: benchmarks need Linux");
}

/** User and system time of a process so far, all its threads, in ms. 0 where that is not to be had. */
export function readCpuMs(pid: number): number {
  return findTimes(pid)?.ownMs ?? 0;
}

/** The same with all children: Postgres is a process for each connection. */
export function readCpuMsWithChildren(pid: number): number {
  const self = findTimes(pid);
  if (self === undefined) return 0;
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => findTimes(name))
    .filter((times) => times?.parent === pid);
  return children.reduce((sum, times) => sum + (times?.ownMs ?? 0), self.ownMs + self.endedChildrenMs);
}

export function findParent(pid: number): number | undefined {
  return findTimes(pid)?.parent;
}

/** Memory in RAM in MB, or 0. */
export function readRssMb(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(findText(`/proc/${pid}/status`) ?? "") ?? [];
  return Number(kilobytes) / 1024;
}

/** The most that it had in RAM at any time so far, in MB, or 0. */
export function readPeakRssMb(pid: number): number {
  const [, kilobytes = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(findText(`/proc/${pid}/status`) ?? "") ?? [];
  return Number(kilobytes) / 1024;
}

/** CPU time of the machine since its start, summed over its cores. */
export interface MachineTimes {
  readonly totalMs: number;
  readonly idleMs: number;
}

/** Waiting for the disk is idle; what the host gave to other guests is not, since it was none for us. */
export function readMachineTimes(): MachineTimes {
  const [, fields = ""] = /^cpu +(\S.*)$/m.exec(findText("/proc/stat") ?? "") ?? [];
  // user nice system idle iowait irq softirq steal; those of guests, which follow, are part of user (proc_stat(5)).
  const times = fields.split(" ").slice(0, 8).map(Number);
  return {
    totalMs: times.reduce((sum, time) => sum + time, 0) * tickMs,
    idleMs: ((times[3] ?? 0) + (times[4] ?? 0)) * tickMs,
  };
}

/** For the head of the results. */
export function describeMachine(): string[] {
  const model = cpus()[0]?.model.trim() ?? "unknown";
  return [
    `CPU: ${model}, ${cpus().length} cores (${arch()})`,
    `RAM: ${Math.round(totalmem() / 2 ** 30)} GB`,
    `OS: ${describeSystem()}`,
    `Node.js ${process.versions.node}`,
  ];
}

function describeSystem(): string {
  const [, name] = /^PRETTY_NAME="?([^"\n]*)/m.exec(findText("/etc/os-release") ?? "") ?? [];
  return [name, `${type()} ${release()}`].filter(Boolean).join(", ");
}

function findText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
