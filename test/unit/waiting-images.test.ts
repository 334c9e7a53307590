import { describe, expect, test } from "vitest";
import { usualBodyBytes } from "../../src/images/fetch/body-room.ts";
import { createWaitingImages, type ImageWish } from "../../src/images/take/waiting-images.ts";

const toWish = (contactId: number, fields: Partial<ImageWish> = {}): ImageWish => ({
  contactId,
  version: "/a",
  url: `https://pps.whatsapp.net/${contactId}`,
  urlExpiresAt: undefined,
  attempts: 0,
  base64: undefined,
  ...fields,
});
const open = () => createWaitingImages({ wishes: 3, chars: 1_000_000 });
const takeAll = (waiting: ReturnType<typeof open>, mayBegin = (_isLarge: boolean) => true) => {
  const taken: (string | number)[] = [];
  const judge = ({ isLarge }: { readonly isLarge: boolean }) => (mayBegin(isLarge) ? "may" : "may-not");
  for (let next = waiting.take(judge); next !== undefined; next = waiting.take(judge))
    taken.push(next.isLarge ? `large ${next.wish.contactId}` : next.wish.contactId);
  return taken;
};

describe("images wait", () => {
  test("in the order in which they came, and those of a newer answer in the turn of the earlier", () => {
    const waiting = open();
    for (const contactId of [1, 2, 1]) waiting.add(toWish(contactId));
    expect(waiting.room()).toBe(1);
    expect(takeAll(waiting)).toEqual([1, 2]);
  });

  test("and large ones are passed over while they have no room", () => {
    const waiting = open();
    waiting.putBack(toWish(1));
    waiting.add(toWish(2, { base64: "A".repeat(usualBodyBytes * 2) }));
    waiting.add(toWish(3));
    expect(takeAll(waiting, (isLarge) => !isLarge)).toEqual([3]);
    expect(takeAll(waiting)).toEqual(["large 1", "large 2"]);
  });

  test("and are known to be large as long as their URL is the same", () => {
    const waiting = open();
    for (const contactId of [1, 2]) waiting.putBack(toWish(contactId));
    waiting.add(toWish(1));
    waiting.add(toWish(2, { url: "https://pps.whatsapp.net/another" }));
    expect(takeAll(waiting)).toEqual(["large 1", 2]);
  });

  test("and what is put back takes the place of no newer one, and no place that is taken", () => {
    const waiting = open();
    waiting.add(toWish(1, { version: "/newer" }));
    waiting.putBack(toWish(1, { version: "/earlier" }));
    expect(waiting.take(() => "may")?.wish.version).toBe("/newer");
    for (const contactId of [1, 2, 3]) waiting.add(toWish(contactId));
    waiting.putBack(toWish(4));
    expect(takeAll(waiting)).toEqual([1, 2, 3]);
  });

  test("with their base64 as far as there is room for it, which they give back", () => {
    const waiting = createWaitingImages({ wishes: 3, chars: 100 });
    const base64 = "A".repeat(60);
    expect([waiting.add(toWish(1, { base64 })), waiting.add(toWish(2, { base64 }))]).toEqual([true, false]);
    expect(waiting.add(toWish(1, { base64: "A".repeat(101) }))).toBe(false);
    expect(takeAll(waiting)).toEqual([]);
    expect(waiting.add(toWish(2, { base64: "A".repeat(100) }))).toBe(true);
  });
});
