/** Who is logged in, as the program `users` of the GNU coreutils would print it. */
import type { Guest } from "../guest.ts";

/** The user of each session, sorted. */
const sessionUsers = ({ identity }: Guest): string[] =>
  identity
    .users()
    .map(({ user }) => user)
    .sort();

/** The names of the users, each once, sorted. */
export const userNames = (guest: Guest): string[] => [...new Set(sessionUsers(guest))];

/** The first of the users; undefined when nobody is logged in. */
export const activeUser = (guest: Guest): string | undefined => sessionUsers(guest)[0];
