/**
 * A number with the words that suit it: `1 contact`, `0 contacts`.
 * @param many where it is more than the word of one with an s: `rows are no contacts`
 */
export function toCounted(count: number, one: string, many?: string): string {
  return `${count} ${chooseWords(count, one, many)}`;
}

/** The words alone. */
export function chooseWords(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? one : many;
}
