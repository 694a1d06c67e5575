/** Reading and writing one setting over the API. */
import { randomUUID } from "node:crypto";
import type { Api, SettingWritten } from "../context/api.ts";
import type { Invocation } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { printable } from "../shell/printable.ts";
import type { Shell } from "../shell/shell.ts";
import { showValue } from "./value-text.ts";

/** Keys may hold slashes, which stay what they are. */
export const settingPath = (key: string): string => `/v1/settings/${key.split("/").map(encodeURIComponent).join("/")}`;

/** Writes, prints what is there now, and resolves with the exit code. */
export async function setAndShow(api: Api, call: Invocation, shell: Shell, key: string, value: unknown): Promise<number> {
  const ifVersion = call.integer("if-version");
  const setting = await api.call<SettingWritten>("PUT", settingPath(key), {
    body: { value },
    idempotencyKey: randomUUID(),
    ...(ifVersion === undefined ? {} : { ifVersion }),
  });
  const text = `${key} = ${printable(showValue(setting.value))} (version ${setting.version}, index ${setting.index})\n`;
  shell.out(call.output === "json" ? `${JSON.stringify(setting)}\n` : text);
  return exit.done;
}
