/** `npm run bench -- page`: writes the measured blocks of docs/speed.md, and the curves, from the results on disk. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { writeCurves } from "./curves.ts";
import { loadResult, type PartName, type PointsData, type Results, type Saved } from "./results.ts";
import {
  backupTable,
  bringBackTable,
  cloudsTable,
  costTable,
  failoverTable,
  growthTable,
  guardsTable,
  markdown,
  memoryTable,
  rateTable,
  residentLine,
  restartTable,
  snapshotTable,
} from "./table.ts";
import { targetRows, type Measured } from "./targets.ts";

const begin = (name: string): string => `<!-- measured: ${name} -->`;
const end = "<!-- /measured -->";

/** What stands between the markers of each block. A part that has not been measured says so. */
const blocks: { readonly [P in PartName]: (data: Results[P]) => string } = {
  commits: (data) => pointsBlock(data, true),
  reads: (data) => pointsBlock(data, false),
  failover: failoverTable,
  restart: restartTable,
  memory: memoryTable,
  growth: growthTable,
  snapshot: snapshotTable,
  replay: ({ lines }) => ["```", ...lines, "```"].join("\n"),
  backup: backupTable,
  restore: bringBackTable,
  clouds: cloudsTable,
  guards: guardsTable,
};
export const partNames = Object.keys(blocks) as readonly PartName[];

function pointsBlock(data: PointsData, written: boolean): string {
  const spent = written ? "Spent per 1,000 commits, leader / others:" : "CPU spent per 1,000 reads, leader / others:";
  const resident = written ? [`Resident at the end, per member: ${residentLine(data)}.`] : [];
  return [rateTable(data), spent, costTable(data, written), ...resident].join("\n\n");
}

function origin({ command, commit, when, tookSeconds, quick, machine }: Saved<unknown>): string {
  const caution = quick ? ", **a quick look only**" : "";
  const made = `\`${command}\` at commit ${commit} on ${when.slice(0, 10)}, ${Math.round(tookSeconds)} s${caution}.`;
  return `${made} Machine: ${machine}.`;
}

/** The block of one part. */
export function partBlock<P extends PartName>(part: P, saved: Saved<Results[P]> | undefined): string {
  if (saved === undefined) return `Not measured yet: \`npm run bench -- ${part}\`.`;
  return [origin(saved), blocks[part](saved.data)].join("\n\n");
}

export const targetsBlock = (measured: Measured): string =>
  markdown([
    ["what", "wanted", "reached", "verdict"],
    ...targetRows(measured).map(({ what, wanted, reached, verdict }) => [
      what,
      wanted,
      reached,
      verdict === "missed" ? "**missed**" : verdict,
    ]),
  ]);

/** Replaces every named block of the page; throws when a block of the page has no text or an end is missing. */
export function withBlocks(page: string, texts: Readonly<Record<string, string>>): string {
  return page.replaceAll(
    /<!-- measured: ([a-z]+) -->([\s\S]*?)(<!-- \/measured -->|(?=<!-- measured:)|$)/g,
    (_, name, __, close) => {
      const text = texts[name as string];
      if (text === undefined || close !== end) throw new Error(`the page's block "${name}" is unknown or has no end`);
      return `${begin(name as string)}\n\n${text}\n\n${end}`;
    },
  );
}

export function readMeasured(folder: string): Measured {
  return Object.fromEntries(partNames.map((part) => [part, loadResult(folder, part)]));
}

/** Writes the page from the results in `folder`. */
export function writePage(page: string, folder: string): void {
  if (!existsSync(page)) throw new Error(`there is no ${page}`);
  const measured = readMeasured(folder);
  for (const part of ["commits", "reads"] as const) {
    const data = measured[part]?.data;
    if (data !== undefined) for (const file of writeCurves(folder, part, data)) console.error(`wrote ${relative(".", file)}`);
  }
  const texts = {
    targets: targetsBlock(measured),
    ...Object.fromEntries(partNames.map((part) => [part, partBlock(part, measured[part] as never)])),
  };
  writeFileSync(page, withBlocks(readFileSync(page, "utf8"), texts));
  console.error(`wrote ${relative(".", page)}`);
}

export const defaultPage = join(import.meta.dirname, "../docs/speed.md");
