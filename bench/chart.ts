/**
 * Line charts as SVG text, readable on a light and on a dark page: the file carries its own background and colours for both.
 * Pure; nothing is measured here.
 */

export interface Axis {
  readonly label: string;
  readonly scale: "linear" | "log";
}

export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  /** Drawn as a thin line through the point. */
  readonly low?: number;
  readonly high?: number;
  /** Beside the point. */
  readonly note?: string;
}

export interface Series {
  /** In the legend; empty for a series that its colour says enough of. */
  readonly name: string;
  /** Series of one colour belong together; dashes tell them apart. 0 to 2. */
  readonly color: number;
  readonly dashed?: boolean;
  readonly points: readonly ChartPoint[];
}

export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  /** How to read it. */
  readonly hint: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const width = 760;
const height = 460;
const frame = { left: 78, right: 28, top: 92, bottom: 58 };
const plot = { width: width - frame.left - frame.right, height: height - frame.top - frame.bottom };
/** About so many ticks on a linear axis. */
const linearTicks = 6;

const style = `
  .page { fill: #ffffff; stroke: #d8dee6; }
  .ink { fill: #1f2733; } .faint { fill: #5b6675; } .grid { stroke: #e6eaf0; } .axis { stroke: #8a94a3; }
  .c0 { stroke: #1d5fd6; } .f0 { fill: #1d5fd6; } .c1 { stroke: #c2500a; } .f1 { fill: #c2500a; } .c2 { stroke: #0f8a6d; } .f2 { fill: #0f8a6d; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #141a22; stroke: #2c3542; }
    .ink { fill: #e8edf4; } .faint { fill: #a3aebd; } .grid { stroke: #26303c; } .axis { stroke: #6b7788; }
    .c0 { stroke: #6ea8ff; } .f0 { fill: #6ea8ff; } .c1 { stroke: #ff9a52; } .f1 { fill: #ff9a52; } .c2 { stroke: #4fd1ae; } .f2 { fill: #4fd1ae; }
  }
  text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; } .title { font-size: 16px; font-weight: 600; } .note { font-size: 10px; }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; } .spread { stroke-width: 1.2; opacity: 0.6; }
`;

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** The numbers 1, 2 and 5 times a power of ten that enclose lowest to highest. */
export function logTicks(lowest: number, highest: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(lowest)); power <= Math.ceil(Math.log10(highest)); power++)
    for (const step of [1, 2, 5]) ticks.push(step * 10 ** power);
  const first = ticks.findLastIndex((tick) => tick <= lowest * (1 + 1e-9));
  const last = ticks.findIndex((tick) => tick >= highest * (1 - 1e-9));
  return ticks.slice(Math.max(0, first), last + 1);
}

/** Round numbers from 0 to at least the highest. */
export function zeroTicks(highest: number): number[] {
  const raw = highest / linearTicks;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 2.5, 5, 10].find((each) => each * power >= raw) ?? 10) * power;
  return Array.from({ length: Math.ceil(highest / step - 1e-9) + 1 }, (_, n) => n * step);
}

function scaleOf({ scale }: Axis, values: readonly number[], from: number, to: number): Scale {
  const highest = Math.max(...values);
  const ticks = scale === "log" ? logTicks(Math.min(...values), highest) : zeroTicks(highest);
  const through = scale === "log" ? Math.log10 : (value: number): number => value;
  const low = through(ticks[0] ?? 0);
  const span = through(ticks.at(-1) ?? 1) - low || 1;
  return { ticks, at: (value) => from + ((through(value) - low) / span) * (to - from) };
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const n = (value: number): string => (Math.round(value * 10) / 10).toString();
const label = (value: number): string => (value >= 1 ? value.toLocaleString("en") : Number(value.toPrecision(2)).toString());

/** Throws a RangeError when a value is not finite, or not above zero on a logarithmic axis. */
export function renderChart(chart: Chart): string {
  const all = chart.series.flatMap(({ points }) => points);
  const ys = all.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]);
  const xs = all.map(({ x }) => x);
  check(chart.x, xs);
  check(chart.y, ys);
  const x = scaleOf(chart.x, xs, frame.left, frame.left + plot.width);
  const y = scaleOf(chart.y, ys, frame.top + plot.height, frame.top);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(chart.title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    `<text class="ink title" x="20" y="28">${escape(chart.title)}</text>`,
    `<text class="faint" x="20" y="47">${escape(chart.subtitle)}</text>`,
    `<text class="faint" x="${width - 20}" y="72" text-anchor="end">${escape(chart.hint)}</text>`,
    ...legend(chart.series.filter(({ name }) => name !== "")),
    ...axes(chart, x, y),
    ...chart.series.flatMap((series) => drawn(series, x, y)),
    "</svg>",
    "",
  ].join("\n");
}

function check({ label: axis, scale }: Axis, values: readonly number[]): void {
  if (values.length === 0) throw new RangeError(`nothing to draw along "${axis}"`);
  const wrong = values.find((value) => !Number.isFinite(value) || (scale === "log" && value <= 0));
  if (wrong !== undefined) throw new RangeError(`${wrong} cannot be drawn on the ${scale} axis "${axis}"`);
}

function legend(series: readonly Series[]): string[] {
  let left = 20;
  return series.flatMap((each) => {
    const at = left;
    // 6.6 px a letter of 12 px is wide enough for every common font.
    left += 34 + each.name.length * 6.6 + 18;
    return [
      `<line class="line c${each.color}" x1="${n(at)}" y1="68" x2="${n(at + 26)}" y2="68"${dashes(each)}/>`,
      `<text class="ink" x="${n(at + 32)}" y="72">${escape(each.name)}</text>`,
    ];
  });
}

const dashes = ({ dashed }: Series): string => (dashed === true ? ' stroke-dasharray="6 4"' : "");

function axes(chart: Chart, x: Scale, y: Scale): string[] {
  const bottom = frame.top + plot.height;
  const right = frame.left + plot.width;
  const middle = frame.top + plot.height / 2;
  return [
    ...y.ticks.map((tick) => `<line class="grid" x1="${frame.left}" y1="${n(y.at(tick))}" x2="${right}" y2="${n(y.at(tick))}"/>`),
    ...y.ticks.map((tick) => {
      return `<text class="faint" x="${frame.left - 8}" y="${n(y.at(tick) + 4)}" text-anchor="end">${label(tick)}</text>`;
    }),
    ...x.ticks.map((tick) => `<line class="grid" x1="${n(x.at(tick))}" y1="${frame.top}" x2="${n(x.at(tick))}" y2="${bottom}"/>`),
    ...x.ticks.map((tick) => {
      return `<text class="faint" x="${n(x.at(tick))}" y="${bottom + 18}" text-anchor="middle">${label(tick)}</text>`;
    }),
    `<path class="axis" fill="none" d="M${frame.left} ${frame.top}V${bottom}H${right}"/>`,
    `<text class="ink" x="${frame.left + plot.width / 2}" y="${height - 16}" text-anchor="middle">${escape(chart.x.label)}</text>`,
    `<text class="ink" x="20" y="${middle}" text-anchor="middle" transform="rotate(-90 20 ${middle})">${escape(chart.y.label)}</text>`,
  ];
}

function drawn(series: Series, x: Scale, y: Scale): string[] {
  const path = series.points.map((point, at) => `${at === 0 ? "M" : "L"}${n(x.at(point.x))} ${n(y.at(point.y))}`).join("");
  return [
    ...series.points.flatMap(({ x: at, low, high }) => {
      if (low === undefined || high === undefined) return [];
      return `<line class="spread c${series.color}" x1="${n(x.at(at))}" y1="${n(y.at(low))}" x2="${n(x.at(at))}" y2="${n(y.at(high))}"/>`;
    }),
    `<path class="line c${series.color}" d="${path}"${dashes(series)}/>`,
    ...series.points.map(
      (point) => `<circle class="f${series.color}" cx="${n(x.at(point.x))}" cy="${n(y.at(point.y))}" r="3.4"/>`,
    ),
    ...series.points.flatMap((point) => {
      if (point.note === undefined) return [];
      const [left, top] = [x.at(point.x) + 6, y.at(point.y) - 6];
      return `<text class="faint note" x="${n(left)}" y="${n(top)}">${escape(point.note)}</text>`;
    }),
  ];
}
