export { type CredentialStoreFixture, describeCredentialStoreContract } from "./credential-store.ts";
export { describeFleetStoreContract, type FleetStoreFixture } from "./fleet-store.ts";
