import { thresholdOf, thresholds } from "@aether/core/setting/thresholds";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { usage } from "../shell/failure.ts";
import { suggest } from "../shell/suggest.ts";
import { setAndShow } from "./setting.ts";

/** `aether thresholds set METRIC VALUE`. That warning stays below critical is the cluster's own rule. */
export const run: Run = async (call, shell) => {
  const metric = call.arg("metric");
  if (thresholdOf(metric) === undefined) {
    const known = thresholds.map(({ key }) => key);
    const near = suggest(metric, known);
    const hint =
      near === undefined ? `they are: ${known.join(", ")}` : `did you mean: aether thresholds set ${near} ${call.arg("value")}`;
    throw usage(`there is no threshold ${JSON.stringify(metric)}`, hint);
  }
  const value = Number(call.arg("value"));
  if (call.arg("value").trim() === "" || !(value >= 0 && value <= 1)) {
    throw usage(`${metric} ${call.arg("value")}: a share from 0 to 1 is expected`, `three quarters is 0.75`);
  }
  const connection = await connect(call, shell);
  try {
    return await setAndShow(connection.api, call, shell, metric, value);
  } finally {
    connection.close();
  }
};
