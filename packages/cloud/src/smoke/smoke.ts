/**
 * `npm run smoke -- hetzner|aws|gcp|azure [--config FILE]`: one machine of a real cloud, made, looked at, switched off and on, and
 * deleted. Costs some cents. Nothing is done without AETHER_SMOKE=yes.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { cloudNames } from "@aether/core/config/cloud-settings";
import { toMillis } from "effect/Duration";
import { CloudFailure } from "../failure.ts";
import { processSeams, providerOf } from "../provider-of.ts";
import { smoke, smokeCluster, smokeWithin } from "./life.ts";
import { smokeSettings } from "./settings.ts";

const usage = `usage: AETHER_SMOKE=yes npm run smoke -- ${cloudNames.join("|")} [--config cluster.toml]
It makes one machine with your credentials, and costs money. It ends in a sweep of what is labelled aether-cluster=${smokeCluster.name},
also after Ctrl-C.
exit code: 0 all held, 1 something did not, 2 usage or no AETHER_SMOKE=yes, 130 interrupted
`;

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    strict: false,
    options: { config: { type: "string" } },
  });
  const name = cloudNames.find((one) => one === positionals[0]);
  if (name === undefined || positionals.length !== 1) return refused("which cloud?");
  if (env["AETHER_SMOKE"] !== "yes") return refused("AETHER_SMOKE is not yes: nothing was done");
  const { config } = values;
  const file = typeof config === "string" ? { name: config, text: readFileSync(config, "utf8") } : null;
  const settings = smokeSettings(name, file, env);
  if (typeof settings === "string") return refused(settings);
  const { close, ...seams } = processSeams();
  const stop = new AbortController();
  let isInterrupted = false;
  const interrupt = (): void => {
    process.stdout.write("interrupted: no further step, the sweep comes now\n");
    isInterrupted = true;
    stop.abort(new Error("interrupted"));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, interrupt);
  try {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(toMillis(smokeWithin))]);
    const provider = providerOf({ settings, cluster: smokeCluster.name, env, seams });
    const holds = await smoke({
      provider,
      settings,
      clock: seams.clock,
      signal,
      say: (line) => process.stdout.write(`${line}\n`),
    });
    return isInterrupted ? 130 : holds ? 0 : 1;
  } catch (failure) {
    if (!(failure instanceof Error)) throw failure;
    process.stderr.write(`error: ${failure.message}\n`);
    return failure instanceof CloudFailure ? 2 : 1;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupt);
    await close();
  }
}

function refused(why: string): number {
  process.stderr.write(`${why}\n${usage}`);
  return 2;
}

process.exitCode = await main(process.argv.slice(2), process.env);
