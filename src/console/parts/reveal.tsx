import { useState } from "preact/hooks";
import { useLive } from "../data/use-data.ts";
import { texts } from "../words/texts.ts";

const words = texts.reveal;

/** Whether whole numbers are asked for. In memory alone, and until the page is left. */
export interface Revealing {
  readonly isRevealed: boolean;
  /** Of requests whose answers hold numbers. */
  readonly headers: Readonly<Record<string, string>>;
  toggle(): void;
}

export function useReveal(): Revealing {
  const [isRevealed, setIsRevealed] = useState(false);
  const headers: Revealing["headers"] = isRevealed ? { "x-avatars-reveal": "1" } : {};
  return { isRevealed, headers, toggle: () => setIsRevealed(!isRevealed) };
}

/** The switch between masked and whole numbers, where these may be asked for. */
export function Reveal({ reveal: { isRevealed, toggle } }: { readonly reveal: Revealing }) {
  const { mayReveal } = useLive();
  if (!mayReveal && !isRevealed) return null;
  return (
    <div class="actions">
      <button type="button" onClick={toggle}>
        {isRevealed ? words.hide : words.show}
      </button>
      <span class="muted small">{words.hint}</span>
    </div>
  );
}

/** Does a text hold a masked number? */
export function isMasked(text: string | null): boolean {
  return text?.includes("•••") ?? false;
}
