type Cell = string | number | undefined;

/**
 * A parameter for `$1::type[]` as Postgres reads it, in a fraction of the time that pg takes, which quotes and escapes also what has
 * nothing to escape. What is undefined is null in SQL.
 */
export function toArrayLiteral(cells: readonly Cell[]): string {
  let literal = "";
  for (const cell of cells) {
    if (literal !== "") literal += ",";
    literal += cell === undefined ? "NULL" : typeof cell === "number" ? String(cell) : quote(cell);
  }
  return `{${literal}}`;
}

function quote(text: string): string {
  const isPlain = !text.includes('"') && !text.includes("\\");
  return `"${isPlain ? text : text.replace(/["\\]/g, String.raw`\$&`)}"`;
}
