import type { Pages } from "../data/use-pages.ts";
import { texts } from "../words/texts.ts";

/** Asks for the next page of a list, where there is one. */
export function MoreButton({ pages }: { readonly pages: Pages<unknown> }) {
  if (pages.isOver || pages.items.length === 0) return null;
  return (
    <div class="more">
      <button type="button" disabled={pages.isLoading} onClick={pages.loadMore}>
        {pages.isLoading ? texts.common.loading : texts.common.more}
      </button>
    </div>
  );
}
