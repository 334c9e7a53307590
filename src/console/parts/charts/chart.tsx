import { useEffect, useRef } from "preact/hooks";
import type UPlot from "uplot";

/** A line of a chart: its values at the places of all, oldest first. */
export interface ChartLine {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** A custom property of the styles, such as `--accent`. */
  readonly color: string;
  readonly isDashed?: boolean;
  readonly isFilled?: boolean;
}

const height = 220;

/** Lines over time. The numbers are also in words beside it: to a screen reader it is one picture. */
export function Chart({
  times,
  lines,
  label,
}: {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly label: string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const data: UPlot.AlignedData = [[...times], ...lines.map(({ values }) => [...values])];
  const shape = lines.map(({ name, color }) => `${name} ${color}`).join();
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const box = place.current;
    if (!box) return;
    let isGone = false;
    const draw = async () => {
      // A third of all scripts: the page that has a chart loads it alone. Without it the words beside it tell the same.
      const loaded = await import("uplot").catch(() => undefined);
      if (isGone || loaded === undefined) return;
      plot.current?.destroy();
      plot.current = new loaded.default(toOptions(box, lines), latest.current, box);
    };
    void draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height }));
    sized.observe(box);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const drawAnew = () => void draw();
    scheme.addEventListener("change", drawAnew);
    return () => {
      isGone = true;
      scheme.removeEventListener("change", drawAnew);
      sized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
    // The lines are drawn anew when there are others; their values come below.
  }, [shape]);
  useEffect(() => plot.current?.setData(latest.current), [data]);

  return <div class="chart" ref={place} role="img" aria-label={label} />;
}

function toOptions(box: HTMLElement, lines: readonly ChartLine[]): UPlot.Options {
  const styles = getComputedStyle(box);
  const color = (name: string) => styles.getPropertyValue(name).trim();
  const axis: UPlot.Axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
  return {
    width: box.clientWidth,
    height,
    padding: [12, 32, 0, 0],
    cursor: { drag: { x: false, y: false } },
    legend: { show: true, live: false },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.15)] } },
    axes: [
      // A minute may be all that there is.
      { ...axis, space: 90, values: "{HH}:{mm}:{ss}" },
      { ...axis, size: 44 },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: color(line.color),
        width: 2,
        points: { show: false },
        ...(line.isDashed && { dash: [6, 5], width: 1.5 }),
        ...(line.isFilled && { fill: color("--accent-soft") }),
      })),
    ],
  };
}
