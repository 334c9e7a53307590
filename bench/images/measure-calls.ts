import type { Figures } from "../measure.ts";
import { measureRow } from "../measure-row.ts";
import type { ProductRow } from "../rows.ts";
import type { Bench } from "../run-bench.ts";
import type { Backend, Servers } from "../servers.ts";

/** The calls of an import without images and with them, in the same run. */
export interface CallsFigures {
  readonly without: readonly Figures[];
  readonly with: readonly Figures[];
  /** How much less of the budget is used with images: 0.005 is half a percent of it. */
  readonly loss: number;
}

export interface CallsOptions {
  readonly backend: Backend;
  readonly instances: number;
  /** Counted for each row, after a warm-up. */
  readonly seconds: number;
  /** Of a row without images and one with them. */
  readonly rounds: number;
}

const warmUpSeconds = 10;

export async function measureCalls(
  servers: Servers,
  { backend, instances, seconds, rounds }: CallsOptions,
  bench: Bench,
): Promise<CallsFigures> {
  const measured: { readonly keepsImages: boolean; readonly figures: Figures }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // Each goes first in every other round.
    const order = round % 2 === 0 ? [false, true] : [true, false];
    for (const keepsImages of order) {
      const row: ProductRow = { kind: "product", backend, instances, processes: 1, jitterMs: 0, keepsImages };
      const figures = await measureRow(row, { servers, bench, seconds, warmUpSeconds });
      measured.push({ keepsImages, figures });
      const share = (figures.share * 100).toFixed(2);
      bench.note(
        `  ${keepsImages ? "with" : "without"} images: ${share} % of the budget, ${figures.refused} 429s`,
      );
    }
  }
  const select = (keepsImages: boolean) =>
    measured.filter((one) => one.keepsImages === keepsImages).map(({ figures }) => figures);
  const [without, withImages] = [select(false), select(true)];
  return { without, with: withImages, loss: meanShare(without) - meanShare(withImages) };
}

function meanShare(rows: readonly Figures[]): number {
  return rows.reduce((sum, { share }) => sum + share, 0) / rows.length;
}
