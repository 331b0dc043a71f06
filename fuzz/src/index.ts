export { type Crash, type FuzzOptions, type FuzzReport, fuzz } from "./engine.ts";
export { type CorpusEntry, readCorpus, writeInput } from "./files.ts";
export { mutate } from "./mutate.ts";
export { Random } from "./random.ts";
export { shrink } from "./shrink.ts";
export { type FuzzTarget, finding, TIME_LIMIT } from "./target.ts";
