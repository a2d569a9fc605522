// Notes which other computers the page and its workers have asked for something; the service worker sees every request and says so.

import { noteContact } from "../data/database.js";
import { channel } from "./tabs.js";

export const CHANNEL = "phi-wasm-contacts";

export function watchContacts(): void {
  channel(CHANNEL, (host) => void noteContact(host));
}
