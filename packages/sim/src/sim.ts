/** `npm run sim -- --seed N | --plan FILE [--timeline] [--for MS] [--without kind,kind]`: one life, told. */
import { parseArgs } from "node:util";
import { type Defect, defects, type FaultKind, faultKinds, type LifeOptions } from "./plan.ts";
import { live, type LifeReport } from "./life.ts";
import { readRegression, writeRegression } from "./regressions.ts";
import { commitOf } from "./soak/record.ts";
import { runProgram } from "./program.ts";

const usage = `usage: npm run sim -- --seed N [--timeline] [--for MS] [--without KIND,KIND] [--defect NAME] [--pin FILE]
       npm run sim -- --plan FILE [--timeline] [--for MS]
  --seed N          which life to live: a whole number
  --plan FILE       the life pinned in this file (packages/sim/regressions holds some)
  --pin FILE        write the life's plan to this new file if it is broken, to be lived again when seeds have moved
  --found TEXT      with --pin: what was wrong, for the next reader
  --timeline        print what happened, in virtual seconds
  --for MS          length of the part with faults, in virtual milliseconds
  --without KINDS   leave out kinds of faults: ${faultKinds.join(" ")}
  --defect NAME     put a defect in, to see it found: ${defects.join(" ")}
exit code: 0 nothing was wrong, 1 a rule was broken, 2 usage
`;

interface Options {
  readonly life: LifeOptions;
  readonly timeline: boolean;
  readonly pin: string | undefined;
  readonly found: string;
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      plan: { type: "string" },
      pin: { type: "string" },
      found: { type: "string", default: "" },
      timeline: { type: "boolean", default: false },
      for: { type: "string" },
      without: { type: "string", default: "" },
      defect: { type: "string" },
    },
  });
  const plan = values.plan === undefined ? undefined : readRegression(values.plan).plan;
  const seed = Number(values.seed ?? plan?.seed);
  const without = values.without.split(",").filter((kind) => kind !== "");
  const forMs = values.for === undefined ? undefined : Number(values.for);
  if ((values.seed === undefined) === (plan === undefined)) throw new Error("say --seed or --plan");
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error("--seed takes a whole number");
  if (forMs !== undefined && !(forMs >= 0)) throw new Error("--for takes milliseconds");
  for (const kind of without) if (!faultKinds.includes(kind as FaultKind)) throw new Error(`no fault is called ${kind}`);
  if (values.defect !== undefined && !defects.includes(values.defect as Defect))
    throw new Error(`no defect is called ${values.defect}`);
  const life = {
    seed,
    without: without as FaultKind[],
    ...(plan === undefined ? {} : { plan }),
    ...(forMs === undefined ? {} : { forMs }),
    ...(values.defect === undefined ? {} : { defect: values.defect as Defect }),
  };
  return { life, timeline: values.timeline, pin: values.pin, found: values.found };
}

function tell({ seed, plan, violation, virtualMs, steps, trace, counts }: LifeReport, tookMs: number): void {
  const { network, device, ...rest } = plan;
  const out = [`seed ${seed}: ${(virtualMs / 1000).toFixed(1)} s lived in ${(tookMs / 1000).toFixed(1)} s, ${steps} steps`];
  out.push(`trace ${trace.toString(16)}`, `plan ${JSON.stringify(rest)}`, `network ${JSON.stringify(network)}`);
  out.push(`disk ${JSON.stringify(device)}`);
  out.push(
    Object.entries(counts)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
  );
  out.push(violation === null ? "nothing was wrong" : `BROKEN ${violation.message}`);
  process.stdout.write(`${out.join("\n")}\n`);
}

async function main(options: Options): Promise<number> {
  const began = performance.now();
  const report = await live(options.life);
  if (options.timeline) process.stdout.write(`${report.timeline.join("\n")}\n`);
  tell(report, performance.now() - began);
  if (report.violation === null) return 0;
  if (options.pin !== undefined) {
    const { plan, violation } = report;
    writeRegression(options.pin, { found: options.found, commit: commitOf(import.meta.dirname), rule: violation.rule, plan });
  }
  return 1;
}

await runProgram(usage, parse, main);
