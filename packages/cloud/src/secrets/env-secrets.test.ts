import { flip, runPromise } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import type { SecretRef } from "../provider.ts";
import { envSecrets } from "./env-secrets.ts";

const env = {
  AETHER_SECRET_CLUSTER_SECRET: "s3cret",
  AETHER_SECRET_DB: '{"user":{"name":"ann","pin":7}}',
  AETHER_SECRET_EMPTY: "",
};
const secrets = envSecrets("hetzner", env);
const read = async (ref: SecretRef): Promise<string> => reveal((await runPromise(secrets.resolve(ref))).value);
const refused = (refs: readonly SecretRef[]) => runPromise(flip(secrets.resolveAll(refs)));

describe("secrets from the environment", () => {
  it("are found by their path, whole or one field of them", async () => {
    expect(await read({ path: "cluster/secret" })).toBe("s3cret");
    expect(await read({ path: "db", field: "user.name" })).toBe("ann");
    expect(await read({ path: "db", field: "user.pin" })).toBe("7");
  });

  it("are all there or none, and what is missing is named, every one", async () => {
    const failure = await refused([
      { path: "cluster/secret" },
      { path: "nope" },
      { path: "empty" },
      { path: "db", field: "user" },
    ]);
    expect(failure).toMatchObject({ _tag: "NotFound", op: "resolve secrets" });
    expect(failure.message).toContain("AETHER_SECRET_NOPE is not set");
    expect(failure.message).toContain("AETHER_SECRET_EMPTY is not set");
    expect(failure.message).toContain("db#user");
    expect(JSON.stringify(failure)).not.toMatch(/s3cret|ann/);
  });

  it("are refused when two paths would be one variable", async () => {
    expect(await refused([{ path: "cluster/secret" }, { path: "cluster_secret" }])).toMatchObject({ _tag: "Invalid" });
    expect(await runPromise(secrets.resolveAll([{ path: "cluster/secret" }, { path: "cluster/secret" }]))).toHaveLength(2);
  });

  it("have no versions, and no paths that are none", async () => {
    expect(await refused([{ path: "cluster/secret", version: "3" }])).toMatchObject({ _tag: "NotFound" });
    expect(await refused([{ path: "../etc" }])).toMatchObject({ _tag: "NotFound" });
    expect(await refused([{ path: "db", field: "__proto__" }])).toMatchObject({ _tag: "NotFound" });
  });
});
