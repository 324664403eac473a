// The application's users, in a file that is replaced whole: after a crash it is the old one or the new one.
// This is for a few thousand users and one process; a database does it better.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { dirname } from "node:path";

const remembered = 60 * 60 * 1000; // how long the ids of changes are kept, in milliseconds

// small folds A to Z alone: "K" (the Kelvin sign) is not "k".
const small = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

export class Users {
  constructor(file) {
    this.file = file;
  }

  // Reading is done at each call and without a pause, so what is read, changed and written below is one step.
  #read() {
    return existsSync(this.file) ? JSON.parse(readFileSync(this.file, "utf8")) : { users: [], changes: {} };
  }

  #write(all) {
    const next = `${this.file}.next`;
    const file = openSync(next, "w", 0o600);
    try {
      writeFileSync(file, JSON.stringify(all));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(next, this.file);
    const folder = openSync(dirname(this.file), "r");
    fsyncSync(folder);
    closeSync(folder);
  }

  byIds(ids) {
    return this.#read().users.filter((user) => ids.includes(user.id));
  }

  byAddresses(addresses) {
    return this.#read().users.filter((user) => addresses.includes(small(user.email)));
  }

  byEmail(email) {
    return this.#read().users.find((user) => user.email === email);
  }

  add(email, password) {
    const all = this.#read();
    if (all.users.some((user) => user.email === email)) throw new Error("somebody has this address");
    all.users.push({ id: randomUUID(), email, accounts: [], disabled: false, password });
    this.#write(all);
  }

  // setPassword sets a password once for each change, and answers false if there is no such user. The change
  // is remembered by the same write; one that was made before is not made again, and is answered like the first time.
  setPassword(change, id, password) {
    const all = this.#read();
    const user = all.users.find((user) => user.id === id);
    if (!user) return false;
    if (Object.hasOwn(all.changes, change)) return true;
    for (const [old, at] of Object.entries(all.changes)) {
      if (at < Date.now() - remembered) delete all.changes[old];
    }
    all.changes[change] = Date.now();
    user.password = password;
    this.#write(all);
    return true;
  }
}
