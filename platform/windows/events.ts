/** Named events, by which processes tell each other that something has happened. */
import { check } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { privateSecurity } from "./security.ts";
import { wide } from "./wide.ts";

const MANUAL_RESET = 1;
const WAIT_OBJECT_0 = 0;

/** Makes an event that only the system and administrators may use; it is not set. @throws SystemError */
export function createEvent(name: string): Handle {
  const event = check(kernel32.CreateEventW(privateSecurity(), MANUAL_RESET, 0, wide(name)), "CreateEventW", name);
  // Somebody may have kept it, set, from an earlier time.
  kernel32.ResetEvent(event);
  return event;
}

export const setEvent = (event: Handle): void => {
  kernel32.SetEvent(event);
};

export const isSet = (event: Handle): boolean => kernel32.WaitForSingleObject(event, 0) === WAIT_OBJECT_0;
