#!/usr/bin/env node
import { launch } from "../../node/bin/launch.js";

await launch("aether", import.meta.url);
