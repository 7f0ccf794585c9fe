/** Lets the agent's event loop run beside that of Bun, for tests of code that waits for children and timers. */
import { loop } from "../../platform/linux/loop.ts";

/** Serves the agent's loop, without ever sleeping in it, until `action` is settled; gives its outcome. */
export async function onLoop<T>(action: () => Promise<T>): Promise<T> {
  let settled = false;
  const outcome = action().finally(() => {
    settled = true;
  });
  // Whoever awaits the outcome sees the failure; here it is only waited for.
  outcome.catch(() => {});
  while (!settled) {
    loop.soon(() => loop.stop());
    loop.run();
    await Bun.sleep(1);
  }
  return outcome;
}
