type Cell = string | number | undefined;

/**
 * A parameter for `$1::type[]` as Postgres reads it, in a fraction of the time that pg takes, which quotes and escapes also what has
 * nothing to escape. What is undefined is null in SQL.
 */
export function toArrayLiteral(cells: readonly Cell[]): string {
  const literals: string[] = [];
  for (let at = 0; at < cells.length; at += 1) literals.push(toLiteral(cells[at]));
  return `{${literals.join(",")}}`;
}

function toLiteral(cell: Cell): string {
  if (cell === undefined) return "NULL";
  return typeof cell === "number" ? String(cell) : quote(cell);
}

function quote(text: string): string {
  const isPlain = !text.includes('"') && !text.includes("\\");
  return `"${isPlain ? text : text.replace(/["\\]/g, String.raw`\$&`)}"`;
}
