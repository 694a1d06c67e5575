/** Profiles as AWS's tools keep them: `~/.aws/config` and `~/.aws/credentials`, chosen by AWS_PROFILE. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CloudFailure } from "../failure.ts";
import { keysOf, type AwsCredentials, type Environment } from "./credentials.ts";
import { fault } from "./failure.ts";
import { parseIni, type Section } from "./ini.ts";
import type { RoleWish } from "./sts.ts";

/** How a profile comes to its credentials. */
export type Plan =
  | { readonly kind: "keys"; readonly credentials: AwsCredentials }
  | { readonly kind: "role"; readonly wish: RoleWish; readonly source: Plan }
  | { readonly kind: "web"; readonly wish: RoleWish; readonly tokenFile: string }
  | { readonly kind: "instance" | "container" };

export interface Profiles {
  /** The files that were looked at, for people. */
  readonly files: readonly string[];
  readonly sections: ReadonlyMap<string, Section>;
}

/** Roles that lead to roles; a longer way is a mistake. */
const stepsMax = 5;
const fileBytesMax = 1024 * 1024;

export const profileName = (env: Environment): string => env["AWS_PROFILE"] || env["AWS_DEFAULT_PROFILE"] || "default";

/** Both files as one; a file that is not there is empty. What both say, the file for credentials says. */
export async function loadProfiles(env: Environment): Promise<Profiles> {
  const home = join(env["HOME"] || homedir(), ".aws");
  const config = env["AWS_CONFIG_FILE"] || join(home, "config");
  const shared = env["AWS_SHARED_CREDENTIALS_FILE"] || join(home, "credentials");
  const sections = new Map<string, Section>();
  for (const [name, section] of parseIni(await textOf(config))) {
    const profile = name === "default" ? name : /^profile (.+)$/.exec(name)?.[1];
    if (profile !== undefined) sections.set(profile, { ...sections.get(profile), ...section });
  }
  for (const [name, section] of parseIni(await textOf(shared))) sections.set(name, { ...sections.get(name), ...section });
  return { files: [config, shared], sections };
}

async function textOf(file: string): Promise<string> {
  try {
    const text = await readFile(file, "utf8");
    if (text.length <= fileBytesMax) return text;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "";
    throw refuse(`${file} cannot be read: ${code}`);
  }
  throw refuse(`${file} is larger than ${fileBytesMax} bytes`);
}

const refuse = (message: string): CloudFailure =>
  fault({ _tag: "Auth", kind: "unauthenticated", op: "find credentials", message });

/**
 * What the chosen profile says, or null when there is none and none was asked for by name. Throws Auth, with what to do, for a
 * profile that is not there or that needs a program or a browser.
 */
export function planOf({ sections, files }: Profiles, env: Environment): Plan | null {
  const name = profileName(env);
  const section = sections.get(name);
  if (section === undefined || Object.keys(section).length === 0) {
    if (name === "default") return null;
    throw refuse(`there is no profile ${name} in ${files.join(" or ")}`);
  }
  const isAsked = name !== "default" || (env["AWS_PROFILE"] ?? "") !== "";
  const plan = planOfProfile(sections, name, []);
  if (plan === null && isAsked) throw refuse(`profile ${name} says nothing of credentials`);
  return plan;
}

/** What to do where this version does not do it itself. */
const exported = (name: string): string =>
  `run \`eval "$(aws configure export-credentials --profile ${name} --format env)"\` first`;

function refuseForeign(name: string, section: Section): void {
  if (section["credential_process"] !== undefined) {
    throw refuse(`profile ${name} has its credentials from a program, which is not started here; ${exported(name)}`);
  }
  if (section["sso_session"] !== undefined || section["sso_start_url"] !== undefined) {
    throw refuse(`profile ${name} signs in through a browser (SSO), which is not done here; ${exported(name)}`);
  }
}

function planOfProfile(sections: Profiles["sections"], name: string, way: readonly string[]): Plan | null {
  const section = sections.get(name);
  if (section === undefined) throw refuse(`profile ${way.at(-1) ?? name} leads to profile ${name}, which there is not`);
  if (way.length >= stepsMax) throw refuse(`the way ${[...way, name].join(" -> ")} of profiles is too long`);
  const keys = keysOf(section["aws_access_key_id"], section["aws_secret_access_key"], section["aws_session_token"]);
  // A profile may lead to itself: its role is assumed with its own keys.
  const isOwnSource = way.at(-1) === name;
  if (section["role_arn"] !== undefined && !isOwnSource) {
    return planOfRole(sections, name, section, section["role_arn"], way);
  }
  if (keys !== null) return { kind: "keys", credentials: keys };
  refuseForeign(name, section);
  return null;
}

function planOfRole(sections: Profiles["sections"], name: string, section: Section, role: string, way: readonly string[]): Plan {
  if (section["mfa_serial"] !== undefined) {
    throw refuse(`profile ${name} asks for a second factor, which is not done here; ${exported(name)}`);
  }
  const seconds = Number(section["duration_seconds"] ?? "0");
  const wish: RoleWish = {
    role,
    session: section["role_session_name"] ?? "aether",
    externalId: section["external_id"] ?? null,
    seconds: Number.isSafeInteger(seconds) && seconds > 0 ? seconds : null,
  };
  const { web_identity_token_file: tokenFile, source_profile: sourceProfile, credential_source: sourceKind } = section;
  if (tokenFile !== undefined) return { kind: "web", wish, tokenFile };
  if (sourceProfile !== undefined) {
    if (way.includes(name)) throw refuse(`the profiles ${[...way, name].join(" -> ")} lead in a circle`);
    const source = planOfProfile(sections, sourceProfile, [...way, name]);
    if (source === null)
      throw refuse(`profile ${sourceProfile}, from which profile ${name} has its role, says nothing of credentials`);
    return { kind: "role", wish, source };
  }
  switch (sourceKind) {
    case "Ec2InstanceMetadata":
      return { kind: "role", wish, source: { kind: "instance" } };
    case "EcsContainer":
      return { kind: "role", wish, source: { kind: "container" } };
    default:
      throw refuse(`profile ${name} has a role and neither source_profile nor a known credential_source`);
  }
}
