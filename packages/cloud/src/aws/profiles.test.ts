import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { value as reveal } from "effect/Redacted";
import { afterAll, describe, expect, it } from "vitest";
import { CloudFailure } from "../failure.ts";
import { parseIni } from "./ini.ts";
import { loadProfiles, planOf, type Plan } from "./profiles.ts";

const keys = (name: string): string => `aws_access_key_id = AK-${name}\naws_secret_access_key = secret-${name}\n`;
const role = "role_arn = arn:aws:iam::1:role/x\n";

/** What the sections lead to, by the names of keys and roles. */
function shownPlan(plan: Plan | null): string {
  switch (plan?.kind) {
    case undefined:
      return "nothing";
    case "keys":
      return plan.credentials.accessKeyId;
    case "role":
      return `${plan.wish.role} by ${shownPlan(plan.source)}`;
    case "web":
      return `${plan.wish.role} by the token in ${plan.tokenFile}`;
    case "instance":
    case "container":
      return plan.kind;
  }
}

const plan = (text: string, profile?: string): Plan | null =>
  planOf({ files: ["config"], sections: parseIni(text) }, profile === undefined ? {} : { AWS_PROFILE: profile });

function refusal(text: string, profile: string): string {
  try {
    plan(text, profile);
  } catch (error) {
    if (error instanceof CloudFailure && error.error._tag === "Auth") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a profile", () => {
  it.each([
    ["the default one without being asked for", `[default]\n${keys("a")}`, undefined, "AK-a"],
    ["the one that is asked for", `[default]\n${keys("a")}[b]\n${keys("b")}`, "b", "AK-b"],
    ["nothing, where there is none", "", undefined, "nothing"],
    ["nothing, where the default one only has a region", "[default]\nregion = x\n", undefined, "nothing"],
    [
      "a role by another profile's keys",
      `[a]\n${role}source_profile = b\n[b]\n${keys("b")}`,
      "a",
      "arn:aws:iam::1:role/x by AK-b",
    ],
    ["a role by its own keys", `[a]\n${role}source_profile = a\n${keys("a")}`, "a", "arn:aws:iam::1:role/x by AK-a"],
    [
      "a role by this machine's",
      `[a]\n${role}credential_source = Ec2InstanceMetadata\n`,
      "a",
      "arn:aws:iam::1:role/x by instance",
    ],
    ["a role by this container's", `[a]\n${role}credential_source = EcsContainer\n`, "a", "arn:aws:iam::1:role/x by container"],
    ["a role by a token", `[a]\n${role}web_identity_token_file = /t\n`, "a", "arn:aws:iam::1:role/x by the token in /t"],
    [
      "a role by a role by keys",
      `[a]\n${role}source_profile = b\n[b]\nrole_arn = arn:y\nsource_profile = c\n[c]\n${keys("c")}`,
      "a",
      "arn:aws:iam::1:role/x by arn:y by AK-c",
    ],
  ])("leads to %s", (_, text, profile, expected) => {
    expect(shownPlan(plan(text, profile))).toBe(expected);
  });

  it("says how its role is assumed", () => {
    const text = `[a]\n${role}source_profile = a\n${keys("a")}external_id = e\nrole_session_name = me\nduration_seconds = 900\n`;
    expect(plan(text, "a")).toMatchObject({
      wish: { role: "arn:aws:iam::1:role/x", externalId: "e", session: "me", seconds: 900 },
    });
  });

  it.each([
    ["is not there", "", "a", "there is no profile a in config"],
    ["says nothing of credentials", "[a]\nregion = x\n", "a", "says nothing of credentials"],
    ["starts a program", "[a]\ncredential_process = /bin/x\n", "a", "aws configure export-credentials --profile a"],
    ["needs a browser", "[a]\nsso_session = x\n", "a", "through a browser"],
    ["needs a second factor", `[a]\n${role}source_profile = a\nmfa_serial = x\n${keys("a")}`, "a", "a second factor"],
    ["has a role by nobody", `[a]\n${role}`, "a", "neither source_profile nor"],
    ["has a role by what is not there", `[a]\n${role}source_profile = b\n`, "a", "leads to profile b, which there is not"],
    [
      "leads in a circle",
      `[a]\n${role}source_profile = b\n[b]\n${role}source_profile = a\n`,
      "a",
      "a -> b -> a lead in a circle",
    ],
  ])("that %s is refused, with what to do", (_, text, profile, message) => {
    expect(refusal(text, profile)).toContain(message);
  });
});

describe("the profiles of a computer", () => {
  const home = mkdtempSync(join(tmpdir(), "aether-profiles-"));
  const file = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  const env = {
    AWS_CONFIG_FILE: file(
      "config",
      `[default]\nregion = eu-north-1\n[profile ops]\n${keys("old")}region = eu-west-1\n[ops2]\nx = 1\n`,
    ),
    AWS_SHARED_CREDENTIALS_FILE: file("credentials", `[ops]\n${keys("new")}`),
  };
  afterAll(() => rmSync(home, { recursive: true }));

  it("stand in two files, of which the one for credentials has the last word", async () => {
    const { sections } = await loadProfiles(env);
    expect([...sections.keys()]).toEqual(["default", "ops"]);
    const found = planOf({ files: [], sections }, { AWS_PROFILE: "ops" });
    if (found?.kind !== "keys") throw new Error("the profile has keys");
    expect(reveal(found.credentials.secretAccessKey)).toBe("secret-new");
  });

  it("are not needed, and a file that cannot be read is a fault", async () => {
    expect((await loadProfiles({ HOME: join(home, "nobody") })).sections.size).toBe(0);
    await expect(loadProfiles({ ...env, AWS_CONFIG_FILE: home })).rejects.toThrowError(/cannot be read: EISDIR/);
  });
});
