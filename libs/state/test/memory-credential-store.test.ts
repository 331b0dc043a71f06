import { createMemoryCredentialStore } from "@culvert/state";
import { describeCredentialStoreContract } from "@culvert/state/contract";

// Memory is not shared between processes: all "processes" hold the same store.
describeCredentialStoreContract("memory", async () => {
  const store = createMemoryCredentialStore();
  return { connect: async () => store, dispose: () => store.close() };
});
