/** Where the Windows executable starts. */
import { main } from "../../src/main.ts";
import { guest } from "./guest.ts";

const outcome = main(guest, process.argv.slice(2));
// No `await` here: a module that waits cannot be turned into bytecode.
if (typeof outcome === "number") process.exit(outcome);
else outcome.then((exitCode) => process.exit(exitCode));
