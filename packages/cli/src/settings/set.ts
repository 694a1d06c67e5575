import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { setAndShow } from "./setting.ts";
import { parseValue } from "./value-text.ts";

/** `aether settings set KEY VALUE`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  try {
    return await setAndShow(connection.api, call, shell, call.arg("key"), parseValue(call.arg("value")));
  } finally {
    connection.close();
  }
};
