import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cutSlowReaders } from "../../src/http/answers/cut-slow-readers.ts";

const spanMs = 60_000;
const leastBytesPerSecond = 1_000;
const lookMs = spanMs / 4;

/** A connection as far as it is looked at. */
class Connection {
  bytesWritten = 0;
  writableLength = 0;
  isCut = false;
  destroy(): void {
    this.isCut = true;
  }
  write(bytes: number): void {
    this.bytesWritten += bytes;
    this.writableLength += bytes;
  }
  read(bytes: number): void {
    this.writableLength = Math.max(0, this.writableLength - bytes);
  }
}

let connection: Connection;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  connection = new Connection();
  stop = cutSlowReaders([connection as unknown as Socket], { spanMs, leastBytesPerSecond });
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

/** So many looks, with so much read before each. */
function pass(looks: number, bytesEach: number): void {
  for (let count = 0; count < looks && !connection.isCut; count += 1) {
    connection.read(bytesEach);
    vi.advanceTimersByTime(lookMs);
  }
}

test("who reads nothing is cut after a span", () => {
  connection.write(10_000_000);
  pass(4, 0);
  expect(connection.isCut).toBe(false);
  pass(1, 0);
  expect(connection.isCut).toBe(true);
});

test("who reads a little now and then is cut too, and who keeps the pace is not", () => {
  connection.write(10_000_000);
  pass(40, (leastBytesPerSecond * lookMs) / 1000);
  expect(connection.isCut).toBe(false);
  pass(9, 10);
  expect(connection.isCut).toBe(true);
});

test("a connection on which nothing waits is left alone, whatever its pace", () => {
  for (let events = 0; events < 100; events += 1) {
    connection.write(300);
    pass(1, 300);
  }
  expect(connection.isCut).toBe(false);
});

test("who had fetched all of it in between begins anew", () => {
  connection.write(1_000_000);
  for (let rounds = 0; rounds < 10; rounds += 1) {
    pass(3, 1);
    pass(1, Infinity);
    connection.write(1_000_000);
  }
  expect(connection.isCut).toBe(false);
});

test("after the end nobody is cut any more", () => {
  connection.write(1_000);
  stop();
  pass(20, 0);
  expect(connection.isCut).toBe(false);
});
