/** How long a stopping process waits for a collector, in milliseconds. */
export const SHUTDOWN_MS = 2_000;

/** Waits for the work, but no longer than so many milliseconds. What it rejects with is no concern of who stops. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
}
