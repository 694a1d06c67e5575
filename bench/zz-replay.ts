import { registry } from "@aether/core/registry";
import { Kind } from "@aether/raft/types";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { emptyState } from "@aether/store/events/applied-state";
const count = Number(process.argv[2] ?? 300000), keys = Number(process.argv[3] ?? 100000);
const value = "x".repeat(240);
const actor = { name: "bench", role: "operator" } as const;
const all = Array.from({ length: count }, (_, i) => ({ index: i + 1, term: 1, kind: Kind.normal, data: encodeEntry({ at: 1_700_000_000_000 + i, actor, cause: "SetSetting", request: { client: `operator:bench-${i % 4}`, id: `12345-1700000-run-${i}`, fingerprint: "0123456789abcdef", version: 1 }, events: [{ type: "SettingChanged", v: 1, id: `bench/k${i % keys}`, value: `${i} ${value}`.slice(0,256), description: "" }] }) }));
console.log("entry bytes", all[10]!.data.length);
const cpu = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1e6; };
for (let r = 0; r < 3; r++) {
  const state = emptyState(registry, () => false);
  const b = cpu(), p = performance.now();
  for (let at = 0; at < count; at += 1000) { const changed = new Set<string>(); for (const e of all.slice(at, at + 1000)) state.apply(e, changed);
    if (at % 10000 === 0) { state.rows.takeDirty(); [...state.history.take()]; state.history.flushed(); state.trail.flushed(state.applied.index); state.sessions.takeFresh(); } }
  console.log(Math.round(count / (cpu() - b)), "/s cpu", Math.round(count / ((performance.now() - p) / 1000)), "/s wall");
}
