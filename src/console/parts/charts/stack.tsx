import { formatNumber, formatShare } from "../../words/format.ts";

/** A part of a whole, with its name and the class of its colour. */
export interface StackPart {
  readonly name: string;
  readonly color: string;
  readonly count: number;
}

/** A bar of parts, and below it what they are. */
export function Stack({ parts, label }: { readonly parts: readonly StackPart[]; readonly label: string }) {
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  let from = 0;
  const bars = parts.map((part) => {
    const width = total === 0 ? 0 : (part.count / total) * 100;
    const bar = { ...part, from, width };
    from += width;
    return bar;
  });
  return (
    <>
      <div class="bar stack">
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={label}>
          {bars.map(({ name, color, from: x, width }) => (
            <rect key={name} class={color} x={x} width={width} height="10" />
          ))}
        </svg>
      </div>
      <ul class="legend">
        {parts
          .filter(({ count }) => count > 0)
          .map(({ name, color, count }) => (
            <li key={name}>
              <span class={`key-dot ${color}`} aria-hidden="true" />
              {name} <strong class="number">{formatNumber(count)}</strong>
              <span class="muted small">{formatShare(count / total)}</span>
            </li>
          ))}
      </ul>
    </>
  );
}
