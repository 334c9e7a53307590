import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBodyCollector } from "../../src/images/fetch/body-collector.ts";
import { createBodyRoom, usualBodyBytes, type BodyPlace } from "../../src/images/fetch/body-room.ts";

/** What may happen to one of a few places, in any order. */
const steps = fc.array(
  fc.record({
    at: fc.nat({ max: 7 }),
    step: fc.constantFrom("open" as const, "enlarge" as const, "hold" as const, "close" as const),
    bytes: fc.nat({ max: usualBodyBytes }),
  }),
  { maxLength: 80 },
);

describe("the room of bodies", () => {
  test("gives large buffers to so many at a time, no buffer twice, and has all of it back in the end", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (taken, largeBodies) => {
        const room = createBodyRoom(largeBodies, 64);
        const places = new Map<number, BodyPlace>();
        const buffers = new Map<number, Buffer>();
        const held = new Map<number, number>();
        const seen = new Set<Buffer>();
        for (const { at, step, bytes } of taken) {
          const place = places.get(at);
          if (step === "open" && place === undefined) places.set(at, room.open());
          if (place === undefined) continue;
          if (step === "enlarge") {
            const buffer = place.enlarge();
            expect(buffer !== undefined).toBe(buffers.has(at) || buffers.size < largeBodies);
            if (buffer) seen.add(buffers.set(at, buffer).get(at) ?? buffer);
          }
          if (step === "hold") {
            place.hold(bytes);
            if (!buffers.has(at)) held.set(at, bytes);
          }
          if (step === "close") {
            place.close();
            for (const kept of [places, buffers, held]) kept.delete(at);
          }
          expect(new Set(buffers.values()).size).toBe(buffers.size);
          expect(room.hasLarge()).toBe(buffers.size < largeBodies);
          expect(room.heldBytes()).toBe([...held.values()].reduce((sum, one) => sum + one, 0));
        }
        for (const place of places.values()) place.close();
        expect(seen.size).toBeLessThanOrEqual(largeBodies);
        expect({ held: room.heldBytes(), hasLarge: room.hasLarge() }).toEqual({ held: 0, hasLarge: true });
      }),
    );
  });

  test("gives nothing back twice, and nothing to what is closed", () => {
    const room = createBodyRoom(1);
    const place = room.open();
    place.enlarge();
    place.close();
    const other = room.open();
    expect(other.enlarge()).toBeDefined();
    place.close();
    place.hold(100);
    expect([place.enlarge(), room.hasLarge(), room.heldBytes()]).toEqual([undefined, false, 0]);
  });
});

describe("a body", () => {
  const limit = 3 * usualBodyBytes;
  const pieces = fc.array(
    fc.nat({ max: 2 * usualBodyBytes }).map((length) => Buffer.alloc(length, length)),
    { maxLength: 5 },
  );

  test("is what has come of it, up to its limit, and to the usual size where no large one has a place", () => {
    fc.assert(
      fc.property(pieces, fc.nat({ max: limit }), fc.boolean(), (added, expected, isFull) => {
        const room = createBodyRoom(1, limit);
        if (isFull) room.open().enlarge();
        const place = room.open();
        const collector = createBodyCollector(limit, place.enlarge);
        const all = Buffer.concat(added);
        const hasRoom = collector.expect(expected);
        expect(hasRoom).toBe(!isFull || expected <= usualBodyBytes);
        if (!hasRoom) return;
        const end = added.map((piece) => collector.add(piece)).find((one) => one !== "added");
        if (isFull && all.length > usualBodyBytes) {
          expect(end).toBe("no-room");
          return;
        }
        expect(end).toBe(all.length > limit ? "cut" : undefined);
        expect(collector.take().equals(all.subarray(0, limit))).toBe(true);
        expect(room.hasLarge()).toBe(!isFull && Math.max(all.length, expected) <= usualBodyBytes);
      }),
      { numRuns: 50 },
    );
  });

  test("that comes byte by byte is copied a few times at most", () => {
    let made = 0;
    const collector = createBodyCollector(limit, () => {
      made += 1;
      return Buffer.alloc(limit);
    });
    const byte = Buffer.from("a");
    for (let count = 0; count < limit; count += 1) collector.add(byte);
    expect([collector.take().equals(Buffer.alloc(limit, "a")), made]).toEqual([true, 1]);
  });
});
