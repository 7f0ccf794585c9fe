/** Which inguest this is. */
import { version } from "../package.json";

/** Both are put in by the build. */
declare const INGUEST_VERSION: string;
declare const INGUEST_COMMIT: string;

export const VERSION = typeof INGUEST_VERSION === "string" ? INGUEST_VERSION : version;
/** The commit that it was built from; `source` when it was not built. */
export const COMMIT = typeof INGUEST_COMMIT === "string" ? INGUEST_COMMIT : "source";
