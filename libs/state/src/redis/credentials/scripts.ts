import { type Script, script } from "../script.ts";
import * as lua from "./lua.ts";

const { BASE, LOG, TOKENS, READ_KEY } = lua;

type CredentialScript =
  | "createTenant"
  | "tenant"
  | "tenants"
  | "updateTenant"
  | "deleteTenant"
  | "createToken"
  | "token"
  | "tokens"
  | "deleteToken"
  | "createKey"
  | "key"
  | "keys"
  | "rotateKey"
  | "retireKey"
  | "deleteKey"
  | "revoke"
  | "revocations"
  | "prune"
  | "snapshot"
  | "revision";

/** Every script of the credential store. */
export const CREDENTIAL_SCRIPTS: Readonly<Record<CredentialScript, Script>> = {
  createTenant: script(BASE, lua.CREATE_TENANT),
  tenant: script(BASE, lua.READ_TENANT),
  tenants: script(BASE, lua.LIST_TENANTS),
  updateTenant: script(BASE, lua.UPDATE_TENANT),
  deleteTenant: script(BASE, LOG, TOKENS, lua.DELETE_TENANT),
  createToken: script(BASE, lua.CREATE_TOKEN),
  token: script(BASE, lua.READ_TOKEN),
  tokens: script(BASE, lua.LIST_TOKENS),
  deleteToken: script(BASE, TOKENS, lua.DELETE_TOKEN),
  createKey: script(BASE, LOG, lua.CREATE_KEY),
  key: script(BASE, READ_KEY, lua.GET_KEY),
  keys: script(BASE, READ_KEY, lua.LIST_KEYS),
  rotateKey: script(BASE, LOG, lua.ROTATE_KEY),
  retireKey: script(BASE, LOG, lua.RETIRE_KEY),
  deleteKey: script(BASE, LOG, lua.DELETE_KEY),
  revoke: script(BASE, LOG, lua.REVOKE),
  revocations: script(BASE, lua.LIST_REVOKED),
  prune: script(BASE, lua.PRUNE),
  snapshot: script(BASE, LOG, READ_KEY, lua.SNAPSHOT),
  revision: script(BASE, LOG, lua.REVISION),
};
