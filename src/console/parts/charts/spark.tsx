import { formatRate } from "../../words/format.ts";
import { texts } from "../../words/texts.ts";

const width = 120;
const height = 30;
const points = 60;

/** The pace of the last five minutes, in the scale of the budget; the newest at the right. */
export function Spark({ history, budget }: { readonly history: readonly number[]; readonly budget: number }) {
  const top = Math.max(budget, ...history, 0.01);
  const step = width / (points - 1);
  const from = width - (history.length - 1) * step;
  const places = history.map(
    (value, index) =>
      `${(from + index * step).toFixed(1)} ${(height - 1 - (value / top) * (height - 3)).toFixed(1)}`,
  );
  const line = places.join("L");
  const label =
    history.length === 0
      ? texts.common.none
      : texts.overview.spark(formatRate(Math.min(...history)), formatRate(Math.max(...history)));
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {places.length > 2 && (
        <>
          <path class="area" d={`M${from.toFixed(1)} ${height}L${line}L${width} ${height}Z`} />
          <path class="stroke" d={`M${line}`} />
        </>
      )}
    </svg>
  );
}
