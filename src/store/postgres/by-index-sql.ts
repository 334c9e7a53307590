/**
 * A condition that a bigint column equals a value of another row, for the target of an update. The server can only look each
 * value up in the column's index: an equality it could also sort or hash, and read the whole index for that.
 *
 * Together with `readsByIndex` (database.ts) it makes the plan whatever statistics say. Reads have `lateral` subqueries, with
 * `offset 0` or a lock, to the same end.
 */
export function equalsByIndex(column: string, value: string): string {
  return `${column} = any (array[${value}])`;
}
