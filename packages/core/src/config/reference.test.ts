import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDuration } from "./backup-settings.ts";
import { cloudNames } from "./cloud-settings.ts";
import { parseClusterFile } from "./cluster-file.ts";
import { sections } from "./cluster-schema.ts";
import { renderReference } from "./reference.ts";

const secrets = { env: {}, readSecret: () => "a secret of some length" };
const page = join(import.meta.dirname, "../../../../docs/cluster-toml.md");

describe("docs/cluster-toml.md", () => {
  it("is what the Schema says (rewrite it with AETHER_REWRITE=1)", () => {
    if (process.env["AETHER_REWRITE"] === "1") writeFileSync(page, renderReference());
    expect(readFileSync(page, "utf8")).toBe(renderReference());
  });

  it.each(["local", ...cloudNames])("shows only examples that the parser takes with provider %s", (provider) => {
    // Both say who may log in: each is an example by itself.
    const isLeftOut = (section: string, key: string) =>
      (provider === "aws" && section === "aws" && key === "key_name") || (provider === "gcp" && key === "node_credentials");
    const text = [...sections]
      .filter(([name]) => name === provider || !cloudNames.some((other) => other === name))
      .map(([name, { keys }]) => {
        const lines = [...keys].filter(([key]) => !isLeftOut(name, key)).map(([key, { example }]) => `${key} = ${example}`);
        return `[${name}]\n${lines.join("\n")}\n`;
      });
    const parsed = parseClusterFile(text.join("\n").replace('provider = "hetzner"', `provider = "${provider}"`), secrets);
    expect("errors" in parsed ? parsed.errors : []).toEqual([]);
    const [, shown = ""] = /```toml\n([\s\S]*?)```/.exec(renderReference()) ?? [];
    expect(parseClusterFile(shown, secrets)).toHaveProperty("ok");
  });

  it("tells the defaults that the parser fills in", () => {
    const parsed = parseClusterFile('[cluster]\nname = "a"\n[cloud]\nprovider = "local"\n', {
      env: {},
      readSecret: () => undefined,
    });
    if ("errors" in parsed) throw new Error("the shortest file must do");
    const { raft, history, backup, cluster } = parsed.ok;
    const said = (section: string, key: string) => Number(sections.get(section)?.keys.get(key)?.default);
    expect(cluster.size).toBe(said("cluster", "size"));
    expect(raft).toEqual({
      tickMs: said("raft", "tick_ms"),
      electionTicks: said("raft", "election_ticks"),
      heartbeatTicks: said("raft", "heartbeat_ticks"),
    });
    expect(history.keep).toBe(said("history", "keep"));
    expect(backup.keep).toBe(said("backup", "keep"));
    const duration = (key: string) => parseDuration(sections.get("backup")?.keys.get(key)?.default ?? "");
    expect([backup.intervalMs, backup.debounceMs]).toEqual([duration("interval"), duration("debounce")]);
  });
});
