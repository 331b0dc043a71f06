import { call } from "./call.ts";
import { credentials } from "./credentials.ts";
import { helmTest } from "./helm-test.ts";
import { install } from "./install.ts";
import { policies } from "./policies.ts";
import { scaleIn, scaleOut } from "./scale.ts";
import type { Step } from "./step.ts";
import { uninstall } from "./uninstall.ts";
import { rollingUpgrade } from "./upgrade.ts";

/** The path that every user walks, in its order. */
export const STEPS: readonly Step[] = [
  install,
  helmTest,
  policies,
  credentials,
  call,
  scaleOut,
  rollingUpgrade,
  scaleIn,
  uninstall,
];
