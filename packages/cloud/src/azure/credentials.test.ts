import { value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { azureCredentialsFrom, azureSubscriptionFrom } from "./credentials.ts";

const principal = { AZURE_TENANT_ID: "11111111-2222-3333-4444-555555555555", AZURE_CLIENT_ID: "aaaa" };

describe("Azure's credentials", () => {
  it("are a secret before a certificate before a workload identity, as in the vendor's own order", () => {
    const all = { AZURE_CLIENT_SECRET: "s", AZURE_CLIENT_CERTIFICATE_PATH: "/c.pem", AZURE_FEDERATED_TOKEN_FILE: "/t" };
    const secret = azureCredentialsFrom({ ...principal, ...all });
    expect(secret).toMatchObject({ kind: "secret", tenant: principal.AZURE_TENANT_ID, client: "aaaa" });
    expect(secret.kind === "secret" && reveal(secret.secret)).toBe("s");
    const { AZURE_CLIENT_SECRET: _, ...others } = all;
    expect(azureCredentialsFrom({ ...principal, ...others })).toMatchObject({
      kind: "certificate",
      path: "/c.pem",
      password: null,
    });
    expect(azureCredentialsFrom({ ...principal, AZURE_FEDERATED_TOKEN_FILE: "/t" })).toMatchObject({
      kind: "workload",
      path: "/t",
    });
  });

  it("are those of the machine when nothing is set", () => {
    expect(azureCredentialsFrom({})).toEqual({ kind: "managed", client: null });
    expect(azureCredentialsFrom({ AZURE_CLIENT_ID: "bbbb" })).toEqual({ kind: "managed", client: "bbbb" });
  });

  it("say what is missing, and never the secret", () => {
    const half = () => azureCredentialsFrom({ AZURE_CLIENT_SECRET: "very-secret", AZURE_CLIENT_ID: "aaaa" });
    expect(half).toThrowError("AZURE_CLIENT_SECRET is set, and AZURE_TENANT_ID and AZURE_CLIENT_ID must be set with it");
    const strange = () => azureCredentialsFrom({ ...principal, AZURE_CLIENT_SECRET: "s", AZURE_TENANT_ID: "../common" });
    expect(strange).toThrowError('"../common" is no id of a tenant or client');
  });

  it("come with a subscription or without", () => {
    expect(azureSubscriptionFrom({ AZURE_SUBSCRIPTION_ID: "x" })).toBe("x");
    expect(azureSubscriptionFrom({ AZURE_SUBSCRIPTION_ID: "" })).toBeNull();
  });
});
