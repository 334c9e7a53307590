import type { ComponentChildren } from "preact";

/** The share of a whole as a bar, with words below it; a mark where less than the whole is possible for now. */
export function ShareBar({
  share,
  limit,
  tone = "",
  label,
  children,
}: {
  /** 0 to 1. */
  readonly share: number;
  /** 0 to 1; undefined: none. */
  readonly limit?: number | undefined;
  readonly tone?: "" | "slow" | "still";
  /** For a screen reader. */
  readonly label: string;
  /** The words at the left. */
  readonly children: ComponentChildren;
}) {
  return (
    <div class="gauge">
      <svg viewBox="0 0 100 5" preserveAspectRatio="none" role="img" aria-label={label}>
        <rect class="track" width="100" height="5" />
        <rect class={`fill ${tone}`} width={share > 0 ? Math.max(2, share * 100) : 0} height="5" />
        {limit !== undefined && <line class="limit" x1={limit * 100} x2={limit * 100} y1="0" y2="5" />}
      </svg>
      <div class="words" aria-hidden="true">
        <span>{children}</span>
        <span>{Math.round(share * 100)} %</span>
      </div>
    </div>
  );
}
