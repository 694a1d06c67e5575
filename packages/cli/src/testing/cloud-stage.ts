/**
 * A vendor for process tests: its fake over real HTTP, whose machines are folders that run real daemons, and an operator with credentials
 * for it. A vendor's minutes are milliseconds here.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { serveFake, type FaultPlan, type ServedFake } from "@aether/cloud/testing/http-fake";
import type { Machines } from "@aether/cloud/testing/machines";
import { openMachineRoom, type MachineRoom } from "@aether/node/testing/machine-room";
import type { Vendor } from "./cloud-vendors.ts";
import { Operator, type Ended, type Running } from "./operator.ts";

/** The bundled daemon, as a machine has it. */
const entry = resolve(import.meta.dirname, "../../../node/dist/aetherd.js");
/** Of a provider's own waits. */
const pace = "0.02";

export class CloudStage<V extends Vendor> {
  readonly operator: Operator;
  readonly room: MachineRoom;
  readonly vendor: V;
  readonly env: Readonly<Record<string, string>>;
  private readonly served: readonly ServedFake[];
  private readonly folder: string;

  private constructor(
    parts: Pick<CloudStage<V>, "operator" | "room" | "vendor" | "env">,
    served: readonly ServedFake[],
    folder: string,
  ) {
    this.operator = parts.operator;
    this.room = parts.room;
    this.vendor = parts.vendor;
    this.env = parts.env;
    this.served = served;
    this.folder = folder;
  }

  static async open<V extends Vendor>(
    cluster: string,
    size: number,
    vendorOf: (machines: Machines) => V,
    plan: FaultPlan = () => undefined,
  ): Promise<CloudStage<V>> {
    const folder = mkdtempSync(join(tmpdir(), "aether-stage-"));
    // Nodes have of the operator's environment only what they are given when they enrol.
    let machineEnv: Readonly<Record<string, string>> = {};
    const room = await openMachineRoom({ folder: join(folder, "room"), entry, env: () => machineEnv });
    const vendor = vendorOf(room);
    const served = [await serveFake(vendor.fake, vendor.prefix, plan)];
    if (vendor.metadata !== undefined) served.push(await serveFake(vendor.metadata, "", () => undefined));
    const [api, metadata] = served;
    machineEnv = vendor.machineEnv(metadata?.url ?? "");
    const env = {
      ...vendor.operatorEnv(api?.url ?? "", folder),
      AETHER_CLOUD_PACE: pace,
      AETHER_BUNDLE_URL: room.bundleUrl,
      AETHER_SECRET_CLUSTER_SECRET: "a-cluster-secret-for-this-test",
    };
    const toml =
      `[cluster]\nname = "{name}"\nsize = ${size}\n\n[security]\ncluster_secret = "\${secrets:cluster/secret}"\n\n` +
      `[raft]\ntick_ms = 25\n\n[backup]\nenabled = false\n\n${vendor.toml}`;
    return new CloudStage({ operator: new Operator(cluster, toml), room, vendor, env }, served, folder);
  }

  begin(...words: readonly string[]): Running {
    return this.operator.begin(words, this.env);
  }

  run(...words: readonly string[]): Promise<Ended> {
    return this.begin(...words).ended;
  }

  bootstrap(...more: readonly string[]): Promise<Ended> {
    return this.run("cluster", "bootstrap", "--config", this.operator.file, ...more);
  }

  /** Runs it, expects exit code 0, and parses its output as JSON. */
  async json<A>(...words: readonly string[]): Promise<A> {
    const ended = await this.run(...words, "-o", "json");
    if (ended.code !== 0) throw new Error(`aether ${words.join(" ")} ended with ${ended.code}:\n${ended.stderr}`);
    return JSON.parse(ended.stdout) as A;
  }

  async dispose(): Promise<void> {
    await this.operator.dispose();
    await this.room.close();
    await Promise.all(this.served.map((one) => one.close()));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
